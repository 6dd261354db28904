//! One Organization and one UserInvite for each role, 500 addresses at most in each, in a stable order; what cannot be declared
//! stands in comments.

use super::sort::{Sorted, sort};
use crate::engine::snapshot::{Completeness, Snapshot};
use crate::label_studio::{Edition, Role};
use crate::manifest::{comment, scalar};
use crate::resources::{GROUP, InviteRole, VERSION};
use std::fmt::Write as _;

/// As many as `spec.emails` takes.
const MOST_ADDRESSES: usize = 500;
/// As many characters as `spec.title` takes.
const LONGEST_TITLE: usize = 1000;
/// Of an object's name that others are made of.
const LONGEST_NAME: usize = 50;
/// Where the operator finds the token, by the chart's and the examples' habit.
const SECRET: &str = "label-studio";

/// One file.
pub struct Document {
    pub name: String,
    pub text: String,
}

/// The Organization's file first.
pub fn manifests(snapshot: &Snapshot) -> Vec<Document> {
    let sorted = sort(snapshot);
    let name = object_name(&snapshot.title);
    let mut documents =
        vec![Document { name: "organization.yaml".to_owned(), text: organization(snapshot, &name, &sorted) }];
    for (role, emails) in sorted.people.iter().rev() {
        for (number, part) in emails.chunks(MOST_ADDRESSES).enumerate() {
            let plural = plural(*role, snapshot.edition);
            let title = if number == 0 { plural.to_owned() } else { format!("{plural}-{}", number + 1) };
            let text = user_invite(snapshot.edition, &name, &title, *role, part);
            documents.push(Document { name: format!("{title}.yaml"), text });
        }
    }
    documents
}

fn organization(snapshot: &Snapshot, name: &str, sorted: &Sorted) -> String {
    let Snapshot { target, title, edition, .. } = snapshot;
    let version = snapshot.release.as_deref().map(|release| format!(" {}", comment(release))).unwrap_or_default();
    let mut text = format!(
        "# What stands in organization {} of {}\n# ({edition}{version}). A plan of these files finds nothing to do. They hold no token: the operator reads it from the\n# Secret {SECRET:?}, the command line from there or from LABEL_STUDIO_API_KEY.\n",
        target.organization_id,
        comment(&target.url),
    );
    if snapshot.completeness == Completeness::Stable {
        text.push_str("# The server counts more members than it lists: whoever it hides is missing here.\n");
    }
    for (why, emails) in &sorted.left_out {
        let _ = writeln!(text, "#\n# Not declared: {why}:");
        for email in emails {
            let _ = writeln!(text, "#   {}", comment(email));
        }
    }
    let _ = write!(
        text,
        "apiVersion: {GROUP}/{VERSION}\nkind: Organization\nmetadata:\n  name: {}\nspec:\n  url: {}\n  organizationId: {}\n  credentials:\n    secretRef:\n      name: {SECRET}\n",
        scalar(name),
        scalar(&target.url),
        target.organization_id
    );
    let is_declarable = title.trim() == title && (1..=LONGEST_TITLE).contains(&title.chars().count());
    if is_declarable {
        let _ = writeln!(text, "  title: {}", scalar(title));
    } else {
        let _ = writeln!(text, "  # title: {} (no manifest can say it)", comment(title));
    }
    match &snapshot.default_role {
        Some(role @ (Role::Pending | Role::Annotator | Role::Reviewer | Role::Manager)) => {
            let _ = writeln!(text, "  defaultRole: {role}");
        }
        Some(role) => {
            let _ = writeln!(text, "  # defaultRole: {} (no manifest can say it)", comment(&role.to_string()));
        }
        None => {}
    }
    text
}

fn user_invite(edition: Edition, organization: &str, name: &str, role: InviteRole, emails: &[&str]) -> String {
    let mut text = String::new();
    if edition == Edition::Community {
        text.push_str("# The open-source edition has no roles: this one is asked for by the form alone.\n");
    }
    let _ = write!(
        text,
        "apiVersion: {GROUP}/{VERSION}\nkind: UserInvite\nmetadata:\n  name: {}\nspec:\n  organizationRef:\n    name: {}\n  role: {role}\n  emails:\n",
        scalar(name),
        scalar(organization)
    );
    for email in emails {
        let _ = writeln!(text, "    - {}", scalar(email));
    }
    text
}

fn plural(role: InviteRole, edition: Edition) -> &'static str {
    match role {
        _ if edition == Edition::Community => "members",
        InviteRole::Administrator => "administrators",
        InviteRole::Manager => "managers",
        InviteRole::Reviewer => "reviewers",
        InviteRole::Annotator => "annotators",
        InviteRole::Deactivated => "deactivated",
    }
}

/// As near to the title as Kubernetes lets a name be.
fn object_name(title: &str) -> String {
    let mut name = String::new();
    for c in title.chars().flat_map(char::to_lowercase) {
        if c.is_ascii_alphanumeric() {
            name.push(c);
        } else if !name.is_empty() && !name.ends_with('-') {
            name.push('-');
        }
        if name.len() >= LONGEST_NAME {
            break;
        }
    }
    let name = name.trim_matches('-');
    if name.is_empty() { "organization".to_owned() } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::object_name;

    #[test]
    fn the_name_is_what_is_left_of_the_title() {
        for (title, name) in [
            ("Acme Vision (EU)", "acme-vision-eu"),
            ("  ", "organization"),
            ("日本", "organization"),
            ("Müller & Söhne", "m-ller-s-hne"),
            ("-a-", "a"),
        ] {
            assert_eq!(object_name(title), name);
        }
        assert!(object_name(&"a ".repeat(500)).len() <= 50);
    }
}
