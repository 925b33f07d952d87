//! A program that signs in by itself, and the browser of its owner: raw HTTP, so that what goes over the
//! wire is in the test.

use reqwest::{Client, Response, Url, redirect::Policy};
use serde_json::{Value, json};

use crate::{TestCaller, TestDevice, program::REQUEST_WITHIN};

/// The verifier of RFC 7636, appendix B.
pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

/// Its challenge.
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// Where the program is answered.
const REDIRECT: &str = "https://app.example/callback";

/// A program that registered with a relay.
#[derive(Debug, Clone)]
pub struct TestProgram {
    http: Client,
    url: String,
    /// Its id.
    pub client_id: String,
}

/// The page that an owner's browser shows.
#[derive(Debug, Clone)]
pub struct Page {
    http: Client,
    /// Where it is.
    pub url: String,
    /// What it shows.
    pub text: String,
    /// The two digits.
    pub digits: String,
}

impl TestProgram {
    /// Registers a program.
    pub async fn register(url: &str, name: &str) -> Self {
        let http = Client::builder()
            .redirect(Policy::none())
            .timeout(REQUEST_WITHIN)
            .build()
            .unwrap();
        let registered: Value = http
            .post(format!("{url}/oauth/register"))
            .json(&json!({"client_name": name, "redirect_uris": [REDIRECT, "http://127.0.0.1/cb"]}))
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        Self {
            http,
            url: url.to_owned(),
            client_id: registered["client_id"].as_str().unwrap().to_owned(),
        }
    }

    /// Sends the browser to the relay. The named fields differ from what a good program sends; one
    /// without a value is left out.
    pub async fn authorize(&self, other: &[(&str, &str)]) -> Response {
        let resource = format!("{}/mcp", self.url);
        let usual = [
            ("response_type", "code"),
            ("client_id", &self.client_id),
            ("redirect_uri", REDIRECT),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
            ("resource", &resource),
            ("state", "xyz&="),
        ];
        let fields = merged(&usual, other);
        let url = Url::parse_with_params(&format!("{}/oauth/authorize", self.url), fields).unwrap();
        self.http.get(url).send().await.unwrap()
    }

    /// Opens the page of a good request.
    pub async fn page(&self, other: &[(&str, &str)]) -> Page {
        let response = self.authorize(other).await;
        let url = location(&response);
        let mut page = Page {
            http: self.http.clone(),
            url,
            text: String::new(),
            digits: String::new(),
        };
        let response = page.look().await;
        assert_eq!(response.status(), 200);
        page.text = response.text().await.unwrap();
        let after = page.text.split_once("aria-label=\"Code\">").unwrap().1;
        page.digits = after[..2].to_owned();
        page
    }

    /// Has the owner confirm on the computer, and returns the code that the browser brings.
    pub async fn code(&self, device: &TestDevice, other: &[(&str, &str)]) -> String {
        let page = self.page(other).await;
        device.cli_json(&["callers", "confirm", &page.digits]);
        let answered = page.answered().await;
        field(&answered, "code").expect("a code")
    }

    /// Posts a form, and returns the status and the answer.
    pub async fn post(&self, path: &str, fields: &[(&str, &str)]) -> (u16, Value) {
        let mut body = Url::parse("http://body/").unwrap();
        body.query_pairs_mut().extend_pairs(fields);
        let request = self
            .http
            .post(format!("{}{path}", self.url))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body.query().unwrap().to_owned());
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let text = response.bytes().await.unwrap();
        (status, serde_json::from_slice(&text).unwrap_or(Value::Null))
    }

    /// Exchanges a code, with fields that differ.
    pub async fn exchange(&self, code: &str, other: &[(&str, &str)]) -> (u16, Value) {
        let resource = format!("{}/mcp", self.url);
        let usual = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("client_id", &self.client_id),
            ("redirect_uri", REDIRECT),
            ("code_verifier", VERIFIER),
            ("resource", &resource),
        ];
        self.post("/oauth/token", &merged(&usual, other)).await
    }

    /// Exchanges a refresh token.
    pub async fn refresh(&self, token: &Value) -> (u16, Value) {
        let fields = [
            ("grant_type", "refresh_token"),
            ("refresh_token", token.as_str().unwrap()),
            ("client_id", &self.client_id),
        ];
        self.post("/oauth/token", &fields).await
    }

    /// Is let in, and returns the tokens.
    pub async fn tokens(&self, device: &TestDevice, other: &[(&str, &str)]) -> Value {
        let code = self.code(device, other).await;
        let (status, tokens) = self.exchange(&code, &[]).await;
        assert_eq!(status, 200, "{tokens}");
        tokens
    }

    /// Is let in, and returns a caller with its access token.
    pub async fn let_in(&self, device: &TestDevice, other: &[(&str, &str)]) -> TestCaller {
        let tokens = self.tokens(device, other).await;
        self.caller(&tokens)
    }

    /// Returns a caller with an access token.
    pub fn caller(&self, tokens: &Value) -> TestCaller {
        TestCaller::new(&self.url, tokens["access_token"].as_str().unwrap())
    }
}

impl Page {
    /// Looks once.
    pub async fn look(&self) -> Response {
        self.http.get(&self.url).send().await.unwrap()
    }

    /// Looks until the browser is sent back, and returns where.
    pub async fn answered(&self) -> Url {
        let answered = crate::eventually("the page is answered", || async {
            let response = self.look().await;
            (response.status() == 302).then(|| location(&response))
        });
        answered.await.parse().unwrap()
    }
}

/// Returns a field of where a browser is sent.
pub fn field(url: &Url, name: &str) -> Option<String> {
    let mut fields = url.query_pairs();
    Some(fields.find(|(known, _)| known == name)?.1.into_owned())
}

fn location(response: &Response) -> String {
    assert_eq!(response.status(), 302, "{response:?}");
    let location = response.headers()["location"].to_str().unwrap();
    location.to_owned()
}

fn merged<'a>(
    usual: &[(&'a str, &'a str)],
    other: &[(&'a str, &'a str)],
) -> Vec<(&'a str, &'a str)> {
    let is_other = |name: &str| other.iter().any(|(known, _)| *known == name);
    let kept = usual.iter().filter(|(name, _)| !is_other(name));
    let fields = kept.chain(other.iter().filter(|(_, value)| !value.is_empty()));
    fields.copied().collect()
}
