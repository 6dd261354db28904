//! Which of the words that are right may have been meant. Knows none of them itself.

/// The first of those that are [`near`].
pub fn nearest<'a>(word: &str, all: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    near(word, all).first().copied()
}

/// Those that differ by case or by a slip, or by more where the word is long; the nearest first.
pub fn near<'a>(word: &str, all: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let wanted = word.to_lowercase();
    let slips = 1 + wanted.chars().count() / 5;
    let distance = |other: &str| strsim::osa_distance(&wanted, &other.to_lowercase());
    let mut near: Vec<(usize, &str)> = all.into_iter().map(|other| (distance(other), other)).collect();
    near.retain(|(distance, other)| *distance <= slips && *distance < other.chars().count());
    near.sort_unstable();
    near.into_iter().map(|(_, other)| other).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_found_and_another_word_is_not() {
        let roles = ["Administrator", "Manager", "Reviewer", "Annotator", "Deactivated"];
        assert_eq!(nearest("Anotator", roles), Some("Annotator"));
        assert_eq!(nearest("annotator", roles), Some("Annotator"));
        assert_eq!(nearest("Admin", roles), None);
        assert_eq!(nearest("emial", ["emails", "role"]), Some("emails"));
        assert_eq!(nearest("x", ["y"]), None);
    }
}
