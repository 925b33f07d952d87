//! Heading patterns of the languages git knows by name; `None` for a name git does not know either.

/// Returns the expressions of a driver, one a line, and whether they ignore case.
///
/// Drivers git has and this table lacks give an expression that does not compile, so that they are handed over.
pub(crate) fn patterns(name: &str) -> Option<(&'static str, bool)> {
    Some(match name {
        "css" => ("![:;]\\s*$\n^[:\\[@.#]?[_a-z0-9].*$", true),
        "elixir" => (
            "^[ \\t]*((?:def(?:macro|module|impl|protocol|p)?|test)[ \\t].*)$",
            false,
        ),
        "golang" => (
            "^[ \\t]*(func[ \\t]*.*)\n^[ \\t]*(type[ \\t].*(?:struct|interface)[ \\t]*(?:\\{[ \\t]*)?)",
            false,
        ),
        "html" => ("^[ \\t]*(<[Hh][1-6](?:[ \\t].*)?>.*)$", false),
        "java" => (
            "!^[ \\t]*(?:catch|do|for|if|instanceof|new|return|switch|throw|while)\n\
             ^[ \\t]*((?:[a-z-]+[ \\t]+)*(?:class|enum|interface|record)[ \\t]+.*)$\n\
             ^[ \\t]*((?:[A-Za-z_<>&][\\]\\[?&<>.,A-Za-z_0-9]*[ \\t]+)+[A-Za-z_][A-Za-z_0-9]*[ \\t]*\\([^;]*)$",
            false,
        ),
        "kotlin" => (
            "^[ \\t]*((?:[a-z]+[ \\t]+)*(?:fun|class|interface)[ \\t]+.*)$",
            false,
        ),
        "markdown" => ("^ {0,3}#{1,6}[ \\t].*", false),
        "php" => (
            "^[\\t ]*((?:(?:public|protected|private|static|abstract|final)[\\t ]+)*function.*)$\n\
             ^[\\t ]*((?:(?:(?:final|abstract)[\\t ]+)?class|enum|interface|trait).*)$",
            false,
        ),
        "python" => ("^[ \\t]*((?:class|(?:async[ \\t]+)?def)[ \\t].*)$", false),
        "ruby" => ("^[ \\t]*((?:class|module|def)[ \\t].*)$", false),
        "rust" => (
            "^[\\t ]*((?:pub(?:\\([^)]+\\))?[\\t ]+)?(?:(?:async|const|unsafe|extern[\\t ]+\"[^\"]+\")[\\t ]+)?\
             (?:struct|enum|union|mod|trait|fn|impl|macro_rules!)[< \\t]+[^;]*)$",
            false,
        ),
        "ada" | "bash" | "bibtex" | "cpp" | "csharp" | "dts" | "fortran" | "fountain"
        | "matlab" | "objc" | "pascal" | "perl" | "scheme" | "tex" => ("(", false),
        _ => return None,
    })
}
