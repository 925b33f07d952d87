//! Git in process on git2: what git prints, without starting it.
