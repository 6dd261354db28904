//! A label selector, written as `kubectl get --selector` takes it. What kubectl refuses is refused here too; `<` and `>` are
//! unknown.

use kube::core::{Expression, Selector};
use std::collections::BTreeSet;

#[derive(Debug, thiserror::Error)]
#[error("{part:?} {why}; write it as `shard=a`, `shard in (a,b)`, `shard!=a`, `shard` or `!shard`, several by comma")]
pub struct Unreadable {
    part: String,
    why: &'static str,
}

/// Blank: everything.
pub fn selector(text: &str) -> Result<Selector, Unreadable> {
    let mut found = Selector::default();
    if text.trim().is_empty() {
        return Ok(found);
    }
    let mut in_list = false;
    let parts = text.split(|c| {
        in_list = c == '(' || (in_list && c != ')');
        c == ',' && !in_list
    });
    for part in parts {
        found.extend([expression(part.trim())?]);
    }
    Ok(found)
}

fn expression(part: &str) -> Result<Expression, Unreadable> {
    if let Some(key) = part.strip_prefix('!') {
        return Ok(Expression::DoesNotExist(label(key)?));
    }
    if let Some((before, list)) = part.split_once('(') {
        return one_of(part, before, list);
    }
    if let Some((key, unwanted)) = part.split_once("!=") {
        return Ok(Expression::NotEqual(label(key)?, value(unwanted)?));
    }
    match part.split_once("==").or_else(|| part.split_once('=')) {
        Some((key, wanted)) => Ok(Expression::Equal(label(key)?, value(wanted)?)),
        None => Ok(Expression::Exists(label(part)?)),
    }
}

/// `key in (a,b)`, `key notin (a,b)`.
fn one_of(part: &str, before: &str, list: &str) -> Result<Expression, Unreadable> {
    let unreadable = |why| Unreadable { part: part.to_owned(), why };
    let list = list.strip_suffix(')').ok_or_else(|| unreadable("has no `)` at its end"))?;
    let (key, word) = before.trim_end().rsplit_once(char::is_whitespace).unwrap_or_default();
    let key = label(key)?;
    let values = list.split(',').map(value).collect::<Result<BTreeSet<_>, _>>()?;
    match word {
        "in" => Ok(Expression::In(key, values)),
        "notin" => Ok(Expression::NotIn(key, values)),
        _ => Err(unreadable("has neither `in` nor `notin` before its list")),
    }
}

/// A name, with or without a domain before it.
fn label(text: &str) -> Result<String, Unreadable> {
    let text = text.trim();
    let (domain, name) = text.split_once('/').map_or((None, text), |(domain, name)| (Some(domain), name));
    let domain_fits = domain.is_none_or(|domain| {
        domain.len() <= 253
            && domain.split('.').all(|part| {
                is_word(part) && part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
            })
    });
    if domain_fits && is_word(name) && name.len() <= 63 {
        return Ok(text.to_owned());
    }
    Err(Unreadable { part: text.to_owned(), why: "cannot be the key of a label" })
}

fn value(text: &str) -> Result<String, Unreadable> {
    let text = text.trim();
    if text.is_empty() || (is_word(text) && text.len() <= 63) {
        return Ok(text.to_owned());
    }
    Err(Unreadable { part: text.to_owned(), why: "cannot be the value of a label" })
}

/// Begins and ends with a letter or digit; `-`, `_` and `.` in between.
fn is_word(text: &str) -> bool {
    let ends_well = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    ends_well(text.chars().next()) && ends_well(text.chars().next_back()) && text.chars().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_is_read_and_blank_is_everything() {
        let read = |text| selector(text).unwrap().to_string();
        assert!(selector(" ").unwrap().selects_all());
        assert_eq!(read("shard=a"), "shard=a");
        assert_eq!(read(" shard == a , example.com/team!=b"), "shard=a,example.com/team!=b");
        assert_eq!(read("shard in (a, b),tier notin(x)"), "shard in (a,b),tier notin (x)");
        assert_eq!(read("shard,!old"), "shard,!old");
        assert_eq!(read("shard="), "shard=");
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for (text, part, why) in [
            ("shard=a b", "a b", "value"),
            ("shard=a,", "", "key"),
            ("shard>1", "shard>1", "key"),
            ("-shard", "-shard", "key"),
            ("Example.com/x=1", "Example.com/x", "key"),
            ("a/b/c", "a/b/c", "key"),
            ("ok,shard in (a,b", "shard in (a,b", "`)`"),
            ("shard of (a)", "shard of (a)", "`in`"),
            ("(a)", "", "key"),
            ("shard=(a)", "", "key"),
            ("!shard=a", "shard=a", "key"),
        ] {
            let refused = selector(text).unwrap_err();
            assert_eq!(refused.part, part, "{text}: {refused}");
            assert!(refused.why.contains(why), "{text}: {refused}");
        }
        assert!(selector(&"a".repeat(64)).is_err());
    }
}
