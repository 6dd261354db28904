//! A text as it may stand in YAML that is written by hand, between a key and the end of the line.

/// Bare only where no reader of YAML, old or new, could take it for something else: kubectl's takes `y` for true, others `1:30`
/// for a number and U+2028 for the end of a line.
pub fn scalar(text: &str) -> String {
    let harmless = |c: char| c.is_ascii_alphanumeric() || "@._-+/: ".contains(c);
    let is_plain = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(harmless)
        && !text.ends_with([' ', ':'])
        && !text.contains(": ")
        && !WORDS.iter().any(|word| text.eq_ignore_ascii_case(word));
    if is_plain { text.to_owned() } else { quoted(text) }
}

/// Truths and nothings of YAML 1.1, and numbers that are words.
const WORDS: [&str; 10] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan"];

/// JSON's quotes are YAML's, too; but JSON leaves characters as they are that YAML takes for the end of a line, or not at all.
fn quoted(text: &str) -> String {
    let json = serde_json::Value::from(text).to_string();
    json.chars().fold(String::new(), |quoted, c| match c {
        c if is_odd(c) => quoted + &format!("\\u{:04x}", u32::from(c)),
        c => quoted + c.encode_utf8(&mut [0; 4]),
    })
}

fn is_odd(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

/// A text for the rest of a comment's line.
pub fn comment(text: &str) -> String {
    text.chars().map(|c| if is_odd(c) { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_the_text_every_reader_reads_it_back() {
        for text in [
            "Acme",
            "yes",
            "Y",
            "No",
            "on",
            "null",
            "NaN",
            "1",
            "1_000",
            "1:30",
            "2026-01-01",
            "=",
            "<<",
            "a: b",
            "a:",
            "# x",
            "'",
            "\"",
            "a\nb",
            "\t",
            "",
            " x ",
            "x ",
            "@a",
            "é\u{85}",
            "-",
            "~",
            "{a}",
            "a\u{2028}  suspend: true",
            "\u{7f}",
            "\u{feff}a",
            "https://example.com:8080/studio",
            "ann+o'hara@example.com",
        ] {
            let line = format!("title: {}\n", scalar(text));
            let read: std::collections::BTreeMap<String, String> = serde_yaml::from_str(&line).unwrap();
            assert_eq!(read["title"], text, "{line}");
            let read: crate::manifest::Node = serde_saphyr::from_str(&line).unwrap();
            assert_eq!(read.get("title").unwrap().text(), Some(text), "{line}");
            // What PyYAML, and with it many tools, takes for the end of a line.
            assert_eq!(line.matches(['\n', '\u{85}', '\u{2028}', '\u{2029}']).count(), 1, "{line}");
        }
        assert_eq!(scalar("https://example.com:8080/studio"), "https://example.com:8080/studio");
        assert_eq!(comment("a\u{2028}b\nc"), "a b c");
    }
}
