//! Everybody, found by user id, by address and by place in the list. A page costs what it holds, however many people there
//! are. It knows no HTTP.

use crate::options::Edition;
use crate::person::{Person, Role};
use crate::switches::Switches;
use std::collections::HashMap;

/// What decides whether a row is listed, and where.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each one is a rule of its own")]
struct Rules {
    community: bool,
    open_invitations: bool,
    service_accounts: bool,
    deactivated: bool,
    deleted_keep_seat: bool,
}

#[derive(Debug, Default)]
pub struct Roster {
    people: HashMap<u64, Person>,
    by_email: HashMap<String, u64>,
    /// User ids in the order of the list, those only that the list shows.
    listed: Vec<u64>,
    seats: usize,
    service_accounts: usize,
    next_user: u64,
    next_membership: u64,
    rules: Rules,
}

/// Two spellings of one address are the same here, as they are to people.
pub(crate) fn fold(email: &str) -> String {
    let email = email.trim();
    if is_folded(email) { email.to_owned() } else { email.to_lowercase() }
}

/// Lower case already, as nearly everything is: spares 50,000 people a copy each.
pub(crate) fn is_folded(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii() && !b.is_ascii_uppercase())
}

impl Roster {
    pub fn len(&self) -> usize {
        self.people.len()
    }

    pub fn is_empty(&self) -> bool {
        self.people.is_empty()
    }

    pub fn get(&self, user: u64) -> Option<&Person> {
        self.people.get(&user)
    }

    pub fn id_of(&self, email: &str) -> Option<u64> {
        self.by_email.get(&fold(email)).copied()
    }

    pub fn find(&self, email: &str) -> Option<&Person> {
        self.get(self.id_of(email)?)
    }

    /// Everybody, in no order.
    pub fn everybody(&self) -> impl Iterator<Item = &Person> {
        self.people.values()
    }

    pub(crate) fn listed(&self) -> &[u64] {
        &self.listed
    }

    /// Who is there and not in the list for being deactivated, in the order of the list.
    pub(crate) fn hidden(&self) -> Vec<u64> {
        if self.rules.community || self.rules.deactivated {
            return Vec::new();
        }
        let hidden = self.everybody().filter(|person| person.role == Role::DEACTIVATED && !person.is_deleted());
        let mut hidden: Vec<u64> = hidden.map(|person| person.user_id).collect();
        hidden.sort_unstable();
        hidden
    }

    pub fn seats_used(&self) -> usize {
        self.seats
    }

    pub(crate) fn service_accounts(&self) -> usize {
        self.service_accounts
    }

    pub(crate) fn reserve(&mut self, more: usize) {
        self.people.reserve(more);
        self.by_email.reserve(more);
        self.listed.reserve(more);
    }

    pub(crate) fn next_membership(&mut self) -> u64 {
        self.next_membership += 1;
        self.next_membership
    }

    /// Adds somebody with fresh ids. The address must not be taken: whoever asks has looked.
    pub(crate) fn add(&mut self, make: impl FnOnce(u64, u64) -> Person) -> u64 {
        self.next_user += 1;
        let membership = self.next_membership();
        let person = make(self.next_user, membership);
        let user = person.user_id;
        self.by_email.insert(fold(&person.email), user);
        self.count_in(&person);
        let shown = self.shows(&person);
        self.people.insert(user, person);
        if shown {
            self.place(user);
        }
        user
    }

    /// Changes one person and keeps every index true.
    pub fn edit<R>(&mut self, user: u64, change: impl FnOnce(&mut Person) -> R) -> Option<R> {
        let mut person = self.take(user)?;
        let result = change(&mut person);
        self.put(person);
        Some(result)
    }

    /// Takes the account away altogether, tombstone included.
    pub fn forget(&mut self, user: u64) -> Option<Person> {
        self.take(user)
    }

    /// A removed person's address becomes free, so that the next invitation makes another user.
    pub(crate) fn release_address(&mut self, email: &str) {
        self.by_email.remove(&fold(email));
    }

    pub(crate) fn rebuild(&mut self, edition: Edition, switches: &Switches) {
        self.rules = Rules {
            community: edition == Edition::Community,
            open_invitations: switches.open_invitations_listed,
            service_accounts: switches.service_account_listed,
            deactivated: switches.deactivated_listed,
            deleted_keep_seat: !switches.delete_frees_seat,
        };
        let mut listed: Vec<u64> = self.people.values().filter(|p| self.shows(p)).map(|p| p.user_id).collect();
        if self.rules.community {
            listed.sort_unstable_by(|a, b| self.key(*a).cmp(&self.key(*b)));
        } else {
            listed.sort_unstable();
        }
        self.listed = listed;
        self.seats = self.people.values().filter(|p| p.takes_seat(self.rules.deleted_keep_seat)).count();
        self.service_accounts = self.people.values().filter(|p| p.is_service() && !p.is_deleted()).count();
    }

    fn take(&mut self, user: u64) -> Option<Person> {
        // The place is looked up while the person is still there to be compared with.
        let place = self.people.get(&user).filter(|p| self.shows(p)).and_then(|_| self.search(user).ok());
        if let Some(place) = place {
            self.listed.remove(place);
        }
        let person = self.people.remove(&user)?;
        if self.by_email.get(&fold(&person.email)) == Some(&user) {
            self.by_email.remove(&fold(&person.email));
        }
        self.seats -= usize::from(person.takes_seat(self.rules.deleted_keep_seat));
        self.service_accounts -= usize::from(person.is_service() && !person.is_deleted());
        Some(person)
    }

    fn put(&mut self, person: Person) {
        let user = person.user_id;
        self.by_email.entry(fold(&person.email)).or_insert(user);
        self.count_in(&person);
        let shown = self.shows(&person);
        self.people.insert(user, person);
        if shown {
            self.place(user);
        }
    }

    fn count_in(&mut self, person: &Person) {
        self.seats += usize::from(person.takes_seat(self.rules.deleted_keep_seat));
        self.service_accounts += usize::from(person.is_service() && !person.is_deleted());
    }

    fn place(&mut self, user: u64) {
        if let Err(place) = self.search(user) {
            self.listed.insert(place, user);
        }
    }

    fn search(&self, user: u64) -> Result<usize, usize> {
        if self.rules.community {
            let key = self.key(user);
            self.listed.binary_search_by(|other| self.key(*other).cmp(&key))
        } else {
            self.listed.binary_search(&user)
        }
    }

    /// Open source sorts by user name, which is not unique.
    fn key(&self, user: u64) -> (&str, u64) {
        let Some(person) = self.people.get(&user) else { return ("", user) };
        // By the name underneath, measured: a tombstone keeps its place, only what is shown is masked.
        (person.username(), user)
    }

    fn shows(&self, person: &Person) -> bool {
        if self.rules.community {
            return true;
        }
        !person.is_deleted()
            && (self.rules.open_invitations || !person.is_invited())
            && (self.rules.service_accounts || !person.is_service())
            && (self.rules.deactivated || person.role != Role::DEACTIVATED)
    }
}
