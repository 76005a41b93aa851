//! What keys ask of each other, beyond what each asks for itself.

use super::http::Http;
use std::collections::BTreeMap;

/// The texts of a section by key.
pub(super) type Texts<'a> = BTreeMap<&'a str, &'a str>;

/// The faults of `[http]`: the key that is to blame, and why.
pub(super) fn http(texts: &Texts<'_>) -> Option<(&'static str, String)> {
    let given = |key: &str| texts.get(key).is_some_and(|t| !t.is_empty());
    for (key, other) in [("cert_file", "key_file"), ("key_file", "cert_file")] {
        if given(key) && !given(other) {
            return Some((key, format!("needs {other} beside it")));
        }
    }
    if given("client_ca_file") && !given("cert_file") {
        return Some(("client_ca_file", "needs cert_file and key_file beside it".into()));
    }
    let listen = texts.get("listen").map_or_else(|| Http::default().listen, |t| (*t).into());
    let address = Http { listen, ..Http::default() }.address().ok()??;
    let guarded = given("cert_file") && (given("token_file") || given("client_ca_file"));
    (!address.ip().is_loopback() && !guarded).then(|| {
        let what = "reaches beyond this machine: give cert_file and key_file, and token_file or client_ca_file; \
                    or listen at 127.0.0.1";
        ("listen", what.into())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beyond_this_machine_http_needs_a_certificate_and_a_secret() {
        let check = |given: &[(&'static str, &'static str)], blamed: Option<&str>| {
            let texts = given.iter().copied().collect();
            assert_eq!(http(&texts).map(|f| f.0), blamed, "{given:?}");
        };
        let (cert, key, token) = (("cert_file", "c"), ("key_file", "k"), ("token_file", "t"));
        let wide = ("listen", "0.0.0.0:8790");
        check(&[], None);
        check(&[("listen", "")], None);
        check(&[("listen", "[::1]:9")], None);
        check(&[wide], Some("listen"));
        check(&[wide, token], Some("listen"));
        check(&[wide, cert, key], Some("listen"));
        check(&[wide, cert, key, token], None);
        check(&[wide, cert, key, ("client_ca_file", "a")], None);
        check(&[cert], Some("cert_file"));
        check(&[key], Some("key_file"));
        check(&[("client_ca_file", "a")], Some("client_ca_file"));
    }
}
