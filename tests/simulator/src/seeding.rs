//! People who are simply there: no invitation, no mail.

use crate::person::{Person, Role};
use crate::state::State;
use jiff::Timestamp;

impl State {
    /// Whoever has the address already gets the role and is in.
    pub(crate) fn add_member(&mut self, email: &str, role: &str) -> u64 {
        let role = Role::from(role);
        if let Some(user) = self.roster.id_of(email) {
            self.roster.edit(user, |person| {
                person.role = role;
                person.invitation = None;
                person.deleted_at = None;
            });
            return user;
        }
        self.roster.add(|user, row| Person::new(user, row, email, role, Timestamp::now()))
    }

    pub(crate) fn seed_members(&mut self, count: usize, role: &str) {
        let now = Timestamp::now();
        let role = Role::from(role);
        let mut number = 0;
        self.roster.reserve(count);
        for _ in 0..count {
            let mut email = format!("person{number:05}@example.com");
            while self.roster.id_of(&email).is_some() {
                number += 1;
                email = format!("person{number:05}@example.com");
            }
            number += 1;
            let role = role.clone();
            self.roster.add(|user, row| Person::new(user, row, &email, role, now));
        }
    }
}
