//! Looks for newcomers by search, each address by itself, before an invitation: where the roster is not young, and where it
//! may hide people. Reads only, and decides nothing.

use super::observe::Unobserved;
use super::plan::Guest;
use super::snapshot::{Snapshot, is_invited};
use crate::label_studio::Client;

/// One request for each, and one more for a roster's first: what `search` compares is not published, so finding nobody
/// says something only where it has found somebody known to be there.
pub async fn seek(client: &Client, snapshot: &mut Snapshot, guests: &[Guest]) -> Result<(), Unobserved> {
    let organization = snapshot.target.organization_id;
    if snapshot.search_finds.is_none() {
        let known = snapshot.members().find(|(email, member)| email.contains('@') && !is_invited(member));
        let finds = match known.map(|(email, _)| email.clone()) {
            Some(email) => !client.search(organization, &email).await?.is_empty(),
            None => false,
        };
        snapshot.search_finds = Some(finds);
    }
    if snapshot.search_finds == Some(true) {
        let emails: Vec<String> = guests.iter().map(|guest| guest.email.clone()).collect();
        greet(client, snapshot, &emails).await?;
    }
    Ok(())
}

/// Looks for a few people by search: somebody who signed up by the link since the roster was read, or whom it hides, needs
/// a role and no mail. True if one was found. Who is not found is as absent as the roster says.
pub async fn greet(client: &Client, snapshot: &mut Snapshot, emails: &[String]) -> Result<bool, Unobserved> {
    let mut found_one = false;
    for email in emails {
        let found = client.search(snapshot.target.organization_id, email).await?;
        found_one |= !found.is_empty();
        snapshot.fold_search(email, found);
    }
    Ok(found_one)
}
