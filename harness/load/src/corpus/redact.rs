//! Personal e-mail addresses are replaced before a record is kept.

/// What an address is replaced with.
const NOBODY: &str = "someone@example.com";

/// Copies `text` with every e-mail address replaced, except the service's own and its mascot's.
pub(super) fn without_personal_addresses(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut copied = 0;
    for (at, _) in text.match_indices('@') {
        let (Some(before), Some(after)) = (text.get(copied..at), text.get(at + 1..)) else { continue };
        let local = before.len() - before.trim_end_matches(is_local).len();
        let domain = after.len() - after.trim_start_matches(is_domain).len();
        let (start, end) = (at - local, at + 1 + domain);
        let Some(address) = text.get(start..end) else { continue };
        if local > 0 && is_host(address.get(local + 1..).unwrap_or("")) && !is_public(address) {
            out.push_str(text.get(copied..start).unwrap_or(""));
            out.push_str(NOBODY);
            copied = end;
        }
    }
    out.push_str(text.get(copied..).unwrap_or(""));
    out
}

fn is_local(c: char) -> bool {
    c.is_ascii_alphanumeric() || "._+-".contains(c)
}

fn is_domain(c: char) -> bool {
    c.is_ascii_alphanumeric() || ".-".contains(c)
}

fn is_host(domain: &str) -> bool {
    domain.split_once('.').is_some_and(|(name, top)| !name.is_empty() && !top.is_empty())
}

/// Addresses of the service and of the account its examples are made with.
fn is_public(address: &str) -> bool {
    address.ends_with("@github.com") || address.ends_with("+Codertocat@users.noreply.github.com")
}

#[cfg(test)]
mod tests {
    use super::without_personal_addresses as clean;

    #[test]
    fn personal_addresses_go_and_the_services_own_stay() {
        assert_eq!(
            clean(r#"{"email":"jane.doe@mail.org","n":1}"#),
            r#"{"email":"someone@example.com","n":1}"#
        );
        let kept =
            r#"{"a":"git@github.com:o/r.git","b":"21+Codertocat@users.noreply.github.com","c":"@here"}"#;
        assert_eq!(clean(kept), kept);
        assert_eq!(clean("a@b.c d@e.f"), "someone@example.com someone@example.com");
    }
}
