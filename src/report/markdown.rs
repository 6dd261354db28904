//! The plan as a comment on a pull request. Titles and addresses are other people's words: none of them may mention somebody,
//! make a link or break a table.

use super::plan::{OrganizationReport, Report};
use std::fmt::Write as _;

/// Bytes of the rows of all tables: GitHub takes 65,536 characters of a comment.
const MOST_BYTES: usize = 50_000;
/// More rows than this are folded away.
const FOLDED: usize = 20;
/// Between a sign and what it would be the sign of: nobody sees it, and nothing is made of the two.
const APART: &str = "\u{200b}";

pub fn markdown(report: &Report) -> String {
    let held: usize = report.organizations.iter().map(|organization| organization.held.len()).sum();
    let mut text = match (report.changes(), held) {
        (0, 0) => "### Label Studio: as declared\n".to_owned(),
        (changes, 0) => format!("### Label Studio: {changes} to change\n"),
        (changes, held) => format!("### Label Studio: {changes} to change, {held} held\n"),
    };
    let mut room = MOST_BYTES;
    for organization in &report.organizations {
        about(&mut text, organization, &mut room);
    }
    for (number, note) in report.notes.iter().enumerate() {
        let line = format!("- {}\n", prose(note));
        let Some(left) = room.checked_sub(line.len()) else {
            let _ = writeln!(text, "- and {} more", report.notes.len() - number);
            break;
        };
        room = left;
        text.push_str(&line);
    }
    text
}

fn about(text: &mut String, report: &OrganizationReport, room: &mut usize) {
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
        let whom = change.email.as_deref().map(cell).unwrap_or_default();
        let by = change.user_invite.as_deref().map(cell).unwrap_or_default();
        [code(&change.action.sign().to_string()), whom, prose(&change.what()), by]
    });
    table(text, ["", "Person", "Change", "UserInvite"], &changes.collect::<Vec<_>>(), room);
    let held = report.held.iter().map(|held| {
        let whom = held.email.as_deref().map(cell).unwrap_or_default();
        let by = held.user_invite.as_deref().map(cell).unwrap_or_default();
        [code("!"), whom, prose(&format!("{}: {}", held.reason, held.message)), by]
    });
    table(text, ["", "Person", "Held", "UserInvite"], &held.collect::<Vec<_>>(), room);
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

fn table(text: &mut String, heads: [&str; 4], rows: &[[String; 4]], room: &mut usize) {
    if rows.is_empty() {
        return;
    }
    let folded = rows.len() > FOLDED;
    if folded {
        let _ = writeln!(text, "<details><summary>{} rows</summary>\n", rows.len());
    }
    let _ = writeln!(text, "| {} |\n|---|---|---|---|", heads.join(" | "));
    let mut shown = 0;
    for row in rows {
        let line = format!("| {} |\n", row.join(" | "));
        let Some(left) = room.checked_sub(line.len()) else { break };
        *room = left;
        text.push_str(&line);
        shown += 1;
    }
    if shown < rows.len() {
        let _ = writeln!(text, "\nand {} more: `plan` without `-o markdown` lists all of them.", rows.len() - shown);
    }
    if folded {
        text.push_str("\n</details>\n");
    }
    text.push('\n');
}

/// A code span, in which nothing is a mention or a link.
fn code(text: &str) -> String {
    let text: String = text.chars().map(|c| if c == '`' || c.is_control() { ' ' } else { c }).collect();
    if text.trim().is_empty() { "``  ``".to_owned() } else { format!("`{text}`") }
}

/// The same within a table.
fn cell(text: &str) -> String {
    code(text).replace('|', "\\|")
}

fn prose(text: &str) -> String {
    let text = text.replace("://", &format!(":{APART}//")).replace("www.", &format!("www{APART}."));
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            // Both look for mentions and issues in what is shown, where an escaped sign is the sign again.
            '@' | '#' | '!' | '~' => safe.extend(["\\", c.encode_utf8(&mut [0; 4]), APART]),
            '|' | '`' | '*' | '_' | '[' | ']' | '\\' => safe.extend(['\\', c]),
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
        let odd = "a|b `@team` #1 <img src=x> https://evil.example www.evil.example [x](y)\n| z |";
        let shown = prose(odd).replace('\\', "");
        for bad in ["@team", "#1", "<", "://", "www.", "\n"] {
            assert!(!shown.contains(bad), "{bad:?} in {shown}");
        }
        assert!(!prose(odd).replace("\\|", "").contains('|') && !prose(odd).replace("\\[", "").contains('['));
        assert_eq!(code(odd).matches('`').count(), 2);
        assert!(!cell(odd).replace("\\|", "").contains('|') && !code(odd).contains('\n'));
    }
}
