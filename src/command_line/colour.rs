//! Whether a sign may be in colour, and in which. Says nothing itself.

use anstyle::{AnsiColor, Style};

/// For standard output, through `anstream`, which takes the colour out where there is no terminal, or `NO_COLOR` is set.
pub fn paint(sign: char) -> String {
    paint_word(sign, &sign.to_string())
}

/// A word in the colour of this sign.
pub fn paint_word(sign: char, word: &str) -> String {
    let colour = match sign {
        '+' => AnsiColor::Green,
        '-' => AnsiColor::Red,
        '!' => AnsiColor::Yellow,
        _ => AnsiColor::Cyan,
    };
    let style = Style::new().fg_color(Some(colour.into()));
    format!("{style}{word}{style:#}")
}
