//! The form in which addresses are compared and sent. Knows nothing of who has them.

/// Trimmed and in lower case (published: single sign-on and provisioning lower-case everything; measured: so does the sign-up
/// form), the domain as it goes over the wire: `bücher.example` and `xn--bcher-kva.example` are one. A tag after a plus sign
/// is part of the address, as Label Studio takes it.
pub fn folded(email: &str) -> String {
    let email = email.trim();
    if email.is_ascii() {
        return email.to_ascii_lowercase();
    }
    let lowered = email.to_lowercase();
    let Some((local, domain)) = lowered.rsplit_once('@') else { return lowered };
    format!("{local}@{}", folded_domain(domain))
}

/// The same for a domain alone.
pub fn folded_domain(domain: &str) -> String {
    let lowered = domain.trim().to_lowercase();
    // Else a full-width `@` or comma, which is part of the domain as it is typed, would come out as one that separates.
    match idna::domain_to_ascii_cow(lowered.as_bytes(), idna::AsciiDenyList::STD3) {
        Ok(ascii) => ascii.into_owned(),
        Err(_) => lowered,
    }
}

/// Whether nobody can take a folded address for another one, or for several: neither we, who ask grants for its domain, nor
/// the server, which splits lists.
pub fn is_one_address(folded: &str) -> bool {
    let Some((local, domain)) = folded.split_once('@') else { return false };
    // Nearly every character of nearly every address is asked about, in each plan.
    let separates =
        |c: char| !c.is_ascii_alphanumeric() && (c.is_whitespace() || c.is_control() || SEPARATORS.contains(c));
    !local.is_empty()
        && !domain.is_empty()
        && domain.is_ascii()
        && !local.contains(separates)
        && !domain.contains(separates)
}

/// And what becomes one of them where text is normalised (Unicode, NFKC).
const SEPARATORS: &str = "@,;<>\"\u{ff20}\u{fe6b}\u{ff0c}\u{fe50}\u{fe10}\u{ff1b}\u{fe54}\u{fe14}\u{37e}\u{ff1c}\u{fe64}\u{ff1e}\u{fe65}\u{ff02}";

/// A folded address with its domain as people write it, where that is another spelling.
pub fn in_unicode(folded: &str) -> Option<String> {
    let (local, domain) = folded.rsplit_once('@')?;
    let (written, valid) = idna::domain_to_unicode(domain);
    (valid.is_ok() && written != domain).then(|| format!("{local}@{written}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_it_is_typed_it_is_the_same_person() {
        for (typed, same) in [
            ("  Ann@Example.COM ", "ann@example.com"),
            ("ann@Bücher.example", "ann@xn--bcher-kva.example"),
            ("ann@BÜCHER.example", "ann@xn--bcher-kva.example"),
            ("ann@XN--BCHER-KVA.example", "ann@xn--bcher-kva.example"),
            // Composed, or letter and mark, as different keyboards make it.
            ("ann@bu\u{308}cher.example", "ann@xn--bcher-kva.example"),
            // What comes along when an address is copied from a page.
            ("\u{a0}ann@example.com\u{200b}", "ann@example.com"),
            ("ÄNNE@example.com", "änne@example.com"),
        ] {
            assert_eq!(folded(typed), same, "{typed:?}");
        }
        assert_eq!(in_unicode("ann@xn--bcher-kva.example").as_deref(), Some("ann@bücher.example"));
        assert_eq!(in_unicode("ann@example.com"), None);
    }

    #[test]
    fn what_could_be_taken_for_another_address_is_none() {
        for one in ["ann@example.com", "ann+o'hara@Bücher.example", "änne@example.com", "ann@sub_domain.example.com"]
        {
            assert!(is_one_address(&folded(one)), "{one}");
        }
        for wide in
            ["\u{ff20}", "\u{fe6b}", "\u{ff0c}", "\u{ff1b}", "\u{ff1c}", "\u{ff1e}", "\u{ff02}", "\u{3000}", "\u{37e}"]
        {
            for odd in [format!("eve@evil.com{wide}example.com"), format!("eve{wide}evil.com@example.com")] {
                let once = folded(&odd);
                assert!(!is_one_address(&once) && folded(&once) == once, "{odd:?} {once:?}");
                assert!(once.rsplit_once('@').unwrap().0 != "eve@evil.com", "{once}");
            }
        }
        for odd in ["", "@", "ann", "a@b@c", "a@", "@b.c", "a b@c.d", "a,b@c.d", "ann@\u{fffd}.example"] {
            assert!(!is_one_address(&folded(odd)), "{odd:?}");
        }
    }

    #[test]
    fn what_the_server_tells_apart_stays_apart() {
        for (one, other) in [
            ("ann+labels@example.com", "ann@example.com"),
            ("a.nn@example.com", "ann@example.com"),
            ("anne@example.com", "änne@example.com"),
        ] {
            assert_ne!(folded(one), folded(other));
        }
    }

    #[test]
    fn what_is_no_address_stays_what_it_is() {
        for odd in ["", "@", "Deleted", "a@b@c", "ä", "ann@\u{fffd}.example", "ann@-ü-.example"] {
            let once = folded(odd);
            assert_eq!(folded(&once), once, "{odd:?}");
        }
    }
}
