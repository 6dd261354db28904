//! The plan as a comment on a pull request. Titles and addresses are other people's words: none of them may mention somebody,
//! make a link or break a table.

use super::plan::{OrganizationReport, Report};
use std::fmt::Write as _;

/// Rows of one table: GitHub takes 65,536 characters of a comment.
const MOST_ROWS: usize = 200;
/// More rows than this are folded away.
const FOLDED: usize = 20;

pub fn markdown(report: &Report) -> String {
    let held: usize = report.organizations.iter().map(|organization| organization.held.len()).sum();
    let mut text = match (report.changes(), held) {
        (0, 0) => "### Label Studio: as declared\n".to_owned(),
        (changes, 0) => format!("### Label Studio: {changes} to change\n"),
        (changes, held) => format!("### Label Studio: {changes} to change, {held} held\n"),
    };
    for organization in &report.organizations {
        about(&mut text, organization);
    }
    text
}

fn about(text: &mut String, report: &OrganizationReport) {
    let _ = write!(text, "\n**Organization {}** at {}", code(&report.name), code(&report.url));
    if let Some(found) = &report.found {
        let _ = write!(text, ", organization {} {}", found.organization_id, code(&found.title));
    }
    text.push_str("\n\n");
    if report.suspended {
        text.push_str("Suspended (`spec.suspend`): nothing is read or written.\n");
        return;
    }
    let changes = report.changes.iter().map(|change| {
        let whom = change.email.as_deref().map(code).unwrap_or_default();
        let what = match &change.email {
            Some(email) => change.to_string().replacen(&format!("{email}: "), "", 1),
            None => change.to_string(),
        };
        [code(&change.action.sign().to_string()), whom, prose(&what), by(change.user_invite.as_deref())]
    });
    table(text, ["", "Person", "Change", "UserInvite"], &changes.collect::<Vec<_>>());
    let held = report.held.iter().map(|held| {
        let why = format!("{}: {}", held.reason, held.message);
        [code("!"), code(&held.email), prose(&why), by(Some(&held.user_invite))]
    });
    table(text, ["", "Person", "Held", "UserInvite"], &held.collect::<Vec<_>>());
    for set in &report.approvable {
        let _ = writeln!(
            text,
            "- To have what {} holds of {} people done all the same: {}",
            set.reason,
            set.people,
            code(&format!("apply --approve {}", set.digest))
        );
    }
    for note in &report.notes {
        let _ = writeln!(text, "- {}", prose(note));
    }
    if !report.notes.is_empty() || !report.approvable.is_empty() {
        text.push('\n');
    }
    let _ = writeln!(text, "{}", report.totals);
}

fn table(text: &mut String, heads: [&str; 4], rows: &[[String; 4]]) {
    if rows.is_empty() {
        return;
    }
    let folded = rows.len() > FOLDED;
    if folded {
        let _ = writeln!(text, "<details><summary>{} rows</summary>\n", rows.len());
    }
    let _ = writeln!(text, "| {} |\n|---|---|---|---|", heads.join(" | "));
    for row in rows.iter().take(MOST_ROWS) {
        let _ = writeln!(text, "| {} |", row.join(" | "));
    }
    if rows.len() > MOST_ROWS {
        let _ =
            writeln!(text, "\nand {} more: `plan` without `-o markdown` lists all of them.", rows.len() - MOST_ROWS);
    }
    if folded {
        text.push_str("\n</details>\n");
    }
    text.push('\n');
}

fn by(user_invite: Option<&str>) -> String {
    user_invite.map(code).unwrap_or_default()
}

/// Nothing in a code span is a mention or a link.
fn code(text: &str) -> String {
    let text: String = text.chars().map(|c| if c == '`' || c.is_control() { ' ' } else { c }).collect();
    format!("`{}`", text.replace('|', "\\|"))
}

fn prose(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    // A URL would become a link.
    let text = text.replace("://", ":\u{200b}//").replace("www.", "www\u{200b}.");
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '@' => safe.push_str("&#64;"),
            '|' | '`' | '*' | '_' | '[' | ']' | '#' | '~' | '\\' | '!' => safe.extend(['\\', c]),
            c if c.is_control() => safe.push(' '),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobodys_words_mention_link_or_break_out() {
        let odd = "a|b `@team` <img src=x> https://evil.example [x](y)\n| z |";
        let shown = prose(odd);
        for bad in ["@", "<", "://", "\n", "[x]"] {
            assert!(!shown.contains(bad), "{bad:?} in {shown}");
        }
        assert!(!shown.replace("\\|", "").contains('|'), "{shown}");
        assert_eq!(code(odd).matches('`').count(), 2);
        assert!(!code(odd).replace("\\|", "").contains('|') && !code(odd).contains('\n'));
    }
}
