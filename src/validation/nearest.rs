//! Which of the words that are right may have been meant. Knows none of them itself.

/// One that differs by case or by a slip, or by more where it is long.
pub fn nearest<'a>(word: &str, all: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = word.to_lowercase();
    let slips = 1 + wanted.chars().count() / 4;
    let distance = |other: &str| strsim::osa_distance(&wanted, &other.to_lowercase());
    let near = all.into_iter().map(|other| (distance(other), other));
    let near = near.filter(|(distance, other)| *distance <= slips && *distance < other.chars().count());
    near.min().map(|(_, other)| other)
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
