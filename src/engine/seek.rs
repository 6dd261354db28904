//! Looks for newcomers where the list of members may hide people: before an invitation, each address by itself. Reads
//! only, and decides nothing.

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
        for Guest { email, .. } in guests {
            let found = client.search(organization, email).await?;
            snapshot.fold_search(email, found);
        }
    }
    Ok(())
}
