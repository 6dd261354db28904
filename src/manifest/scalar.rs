//! A text as it may stand in YAML that is written by hand, between a key and the end of the line.

/// Quoted only where YAML would take it for something else.
pub fn scalar(text: &str) -> String {
    let plain = serde_yaml::to_string(text).unwrap_or_default();
    let plain = plain.trim_end();
    // A block of several lines does not fit there; JSON's quotes are YAML's, too.
    let fits = !plain.is_empty() && !plain.contains('\n') && !text.chars().any(char::is_control);
    if fits { plain.to_owned() } else { quoted(text) }
}

/// JSON leaves U+007F to U+009F as they are, and YAML takes one of them for the end of a line.
fn quoted(text: &str) -> String {
    let json = serde_json::Value::from(text).to_string();
    json.chars().fold(String::new(), |quoted, c| match c {
        c if c.is_control() => quoted + &format!("\\u{:04x}", u32::from(c)),
        c => quoted + c.encode_utf8(&mut [0; 4]),
    })
}

/// A text for the rest of a comment's line.
pub fn comment(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_the_text_yaml_reads_it_back() {
        for text in [
            "Acme", "yes", "null", "1", "a: b", "# x", "'", "\"", "a\nb", "\t", "", " x ", "@a", "é\u{85}", "-", "~",
            "{a}",
        ] {
            let line = format!("title: {}\n", scalar(text));
            let read: std::collections::BTreeMap<String, String> = serde_yaml::from_str(&line).unwrap();
            assert_eq!(read["title"], text, "{line}");
            assert_eq!(line.matches('\n').count(), 1, "{line}");
        }
    }
}
