//! Where a D1 database is reached. The URL never carries a login: the token comes from a file, so that URLs may be
//! printed, logged and compared.

use reqwest::Url;

const REST: &str = "https://api.cloudflare.com/client/v4";
const FORMS: &str = "use d1://account/database, or d1+https://gateway.example/account/database";

/// Which of the two ways to D1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Cloudflare's REST API: four requests a second for everything an account does.
    Rest,
    /// Our gateway Worker; `work` needs it.
    Gateway,
}

impl std::fmt::Display for Transport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Transport::Rest => "rest",
            Transport::Gateway => "gateway",
        })
    }
}

/// A database and the way to it. Displays as the store URL it was parsed from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    transport: Transport,
    base: String,
    account: String,
    database: String,
}

impl Endpoint {
    /// Reads `d1://account/database` (REST) or `d1+https://host[:port][/base]/account/database` (gateway). Plain
    /// `d1+http://` is accepted for loopback hosts only: anywhere else it would send the token in the clear.
    pub fn parse(text: &str) -> Result<Endpoint, String> {
        if text.contains(['@', '?', '#']) {
            return Err(format!("a D1 store URL carries no login, query or fragment: {FORMS}"));
        }
        if let Some(path) = text.strip_prefix("d1://") {
            return Self::new(Transport::Rest, REST.into(), path);
        }
        let url = text.strip_prefix("d1+").ok_or_else(|| format!("not a D1 store URL: {FORMS}"))?;
        let url = Url::parse(url).map_err(|e| format!("not a D1 store URL ({e}): {FORMS}"))?;
        refuse_cleartext(&url)?;
        let path = url.path().trim_matches('/').to_owned();
        let (base, names) = split_base(&path);
        let origin = url.origin().ascii_serialization();
        let base = if base.is_empty() { origin } else { format!("{origin}/{base}") };
        Self::new(Transport::Gateway, base, names)
    }

    fn new(transport: Transport, base: String, names: &str) -> Result<Endpoint, String> {
        let (account, database) = names.split_once('/').ok_or_else(|| format!("account or database is missing: {FORMS}"))?;
        for name in [account, database] {
            if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') {
                return Err(format!("`{name}` is not the name of a D1 account or database: {FORMS}"));
            }
        }
        Ok(Endpoint { transport, base, account: account.into(), database: database.into() })
    }

    /// Which way this is.
    pub fn transport(&self) -> Transport {
        self.transport
    }

    /// Where statements are posted.
    pub fn query_url(&self) -> String {
        format!("{}/accounts/{}/d1/database/{}/query", self.base, self.account, self.database)
    }
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.transport {
            Transport::Rest => write!(f, "d1://{}/{}", self.account, self.database),
            Transport::Gateway => write!(f, "d1+{}/{}/{}", self.base, self.account, self.database),
        }
    }
}

fn refuse_cleartext(url: &Url) -> Result<(), String> {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let loopback = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
    match url.scheme() {
        "https" => Ok(()),
        "http" if loopback => Ok(()),
        "http" => Err("d1+http:// would send the token in the clear; it is for loopback hosts only".into()),
        _ => Err(format!("not a D1 store URL: {FORMS}")),
    }
}

/// `base/of/gateway/account/database` → (`base/of/gateway`, `account/database`).
fn split_base(path: &str) -> (&str, &str) {
    let mut slashes = path.rmatch_indices('/').map(|(at, _)| at);
    match slashes.nth(1) {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => ("", path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_lead_to_the_right_route() {
        let cases = [
            ("d1://Acc-1/db_2", "https://api.cloudflare.com/client/v4/accounts/Acc-1/d1/database/db_2/query"),
            ("d1+https://gw.example/a/d", "https://gw.example/accounts/a/d1/database/d/query"),
            ("d1+https://gw.example:8443/x/y/a/d", "https://gw.example:8443/x/y/accounts/a/d1/database/d/query"),
            ("d1+http://127.0.0.1:80/a/d", "http://127.0.0.1/accounts/a/d1/database/d/query"),
            ("d1+http://[::1]:99/a/d", "http://[::1]:99/accounts/a/d1/database/d/query"),
            ("d1+http://localhost:8787/a/d", "http://localhost:8787/accounts/a/d1/database/d/query"),
        ];
        for (text, want) in cases {
            let endpoint = Endpoint::parse(text).unwrap();
            assert_eq!(endpoint.query_url(), want, "{text}");
            assert_eq!(Endpoint::parse(&endpoint.to_string()).unwrap(), endpoint, "{text}");
        }
        assert_eq!(Endpoint::parse("d1://a/d").unwrap().transport(), Transport::Rest);
        assert_eq!(Endpoint::parse("d1+https://h/a/d").unwrap().transport(), Transport::Gateway);
    }

    #[test]
    fn urls_that_leak_or_mislead_are_refused_without_echoing_a_login() {
        let texts = [
            "d1://",
            "d1://a",
            "d1://a/",
            "d1://a/b/c",
            "d1://a/b?x=1",
            "d1x://a/b",
            "d1+ftp://h/a/b",
            "d1+https://h/a",
            "d1+http://gw.example/a/b",
            "d1+http://10.0.0.1/a/b",
            "d1+http://127.0.0.1.example/a/b",
            "d1+https://bob:hunter2@h/a/b",
            "d1+https://h/a/b#x",
        ];
        for text in texts {
            let why = Endpoint::parse(text).unwrap_err();
            assert!(!why.contains("hunter2"), "{why}");
        }
    }
}
