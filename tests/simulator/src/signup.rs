//! The two HTML forms: log in and sign up. Cross-site protection is Django's: a cookie and a field that say the same.

use crate::answer::Answer;
use crate::call::Call;
use crate::pages::{self, FormPage};
use crate::person::{InvitationState, Person, Role};
use crate::state::{State, random_word};
use jiff::Timestamp;

/// As strict as Django's field about what a client could get wrong: one `@`, something before, a dotted name after it.
pub(crate) fn is_address(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    let local_fits = !local.is_empty()
        && local.len() <= 64
        && local.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+/=?^_`{|}~.-".contains(&b))
        && !local.starts_with('.')
        && !local.ends_with('.')
        && !local.contains("..");
    let label_fits = |label: &str| {
        !label.is_empty()
            && label.chars().all(|c| c.is_alphanumeric() || c == '-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    local_fits && text.len() <= 254 && domain.contains('.') && domain.split('.').all(label_fits)
}

impl State {
    pub(crate) fn login_form(&self, call: &Call) -> Answer {
        self.form_page(call, &[], "", |form| pages::login(form, !self.signup_closed, &self.sub_path))
    }

    pub(crate) fn signup_form(&self, call: &Call) -> Answer {
        // GET never refuses: the page is the same whether sign-up is open or closed.
        self.form_page(call, &[], "", pages::signup)
    }

    fn form_page(
        &self,
        call: &Call,
        errors: &[(&str, &str)],
        email: &str,
        page: impl FnOnce(&FormPage<'_>) -> String,
    ) -> Answer {
        if call.cookie("sessionid").is_some_and(|id| self.sessions.contains_key(id)) {
            return Answer::redirect(&self.home());
        }
        let secret = call.cookie("csrftoken").map_or_else(|| random_word()[..32].to_owned(), str::to_owned);
        let html = page(&FormPage { csrf: &masked(&secret), email, errors });
        Answer::html(200, html).with("set-cookie", csrf_cookie(&secret))
    }

    pub(crate) fn log_in(&mut self, call: &Call) -> Answer {
        if !csrf_holds(call) {
            return Answer::html(403, pages::csrf_failed());
        }
        let form = call.form_body();
        let email = field(&form, "email").to_lowercase();
        let known = self.roster.find(&email).filter(|p| p.password.as_deref() == Some(field(&form, "password")));
        let Some(user) = known.map(|p| p.user_id) else {
            let errors = [("email", "The email and password you entered don't match.")];
            return self
                .form_page(call, &errors, &email, |form| pages::login(form, !self.signup_closed, &self.sub_path));
        };
        let next = call.parameter("next").map_or_else(|| self.home(), str::to_owned);
        self.enter(user, &next)
    }

    pub(crate) fn log_out(&self) -> Answer {
        // A copied cookie stays valid, as measured: the session lives in the cookie itself.
        Answer::redirect(&self.home()).with("set-cookie", "sessionid=; Max-Age=0; Path=/")
    }

    pub(crate) fn sign_up(&mut self, call: &Call) -> Answer {
        if !csrf_holds(call) {
            return Answer::html(403, pages::csrf_failed());
        }
        let link = call.parameter("token").filter(|t| !t.is_empty());
        if !self.may_sign_up(link) {
            return Answer::html(403, pages::not_permitted());
        }
        let form = call.form_body();
        let (email, password) = (field(&form, "email").trim().to_lowercase(), field(&form, "password"));
        let errors = self.form_errors(&email, password);
        if !errors.is_empty() {
            return self.form_page(call, &errors, &email, pages::signup);
        }
        if !self.organization.founded {
            let user = self.found_organization(&email);
            return self.let_in(user, password);
        }
        if link.is_none() && !self.is_community() {
            // Enterprise gives a stranger an organization of its own.
            self.foreign_organizations.push(email);
            return Answer::redirect(&self.home());
        }
        let user = self.join(&email);
        self.let_in(user, password)
    }

    fn may_sign_up(&self, link: Option<&str>) -> bool {
        match link {
            _ if !self.organization.founded => !self.signup_closed || !self.switches.closed_signup_binds_first,
            // A wrong token is refused even while none at all is accepted.
            Some(token) => token == self.organization.invite_token,
            None => !self.signup_closed,
        }
    }

    fn form_errors(&self, email: &str, password: &str) -> Vec<(&'static str, &'static str)> {
        let mut errors = Vec::new();
        if email.is_empty() {
            errors.push(("email", "This field is required."));
        } else if !is_address(email) {
            errors.push(("email", "Enter a valid email address."));
        } else if self.roster.find(email).is_some_and(|p| !p.is_invited()) {
            errors.push(("email", "User with this email already exists"));
        }
        if password.is_empty() {
            errors.push(("password", "This field is required."));
        } else if !(8..=128).contains(&password.chars().count()) {
            errors.push(("password", "Please enter a password 8–128 characters in length."));
        }
        errors
    }

    fn found_organization(&mut self, email: &str) -> u64 {
        let now = Timestamp::now();
        let role = Role::OWNER;
        let user = self.roster.add(|user, row| Person::new(user, row, email, role, now));
        let organization = &mut self.organization;
        organization.founded = true;
        organization.owner = user;
        organization.created_at = now;
        organization.updated_at = now;
        self.operator = user;
        user
    }

    /// By the invite link: without a role until somebody gives one, unless a mail had promised it.
    pub(crate) fn join(&mut self, email: &str) -> u64 {
        if let Some(user) = self.roster.id_of(email) {
            self.accept(user);
            return user;
        }
        let role = self.organization.default_role.clone();
        self.roster.add(|user, row| Person::new(user, row, email, role, Timestamp::now()))
    }

    /// The promised role, if the invitation still holds; else none.
    pub(crate) fn accept(&mut self, user: u64) {
        let now = Timestamp::now();
        let otherwise = self.organization.default_role.clone();
        let granted = self.roster.edit(user, |person| {
            let open = person.invitation_state(now) == Some(InvitationState::Open);
            person.joined_at = now;
            match person.invitation.as_deref_mut() {
                Some(invitation) if open => {
                    invitation.state = InvitationState::Accepted;
                    person.role = invitation.role.clone();
                    invitation.workspaces.clone()
                }
                _ => {
                    person.invitation = None;
                    person.role = otherwise;
                    Vec::new()
                }
            }
        });
        for id in granted.into_iter().flatten() {
            if let Some(workspace) = self.workspaces.get_mut(&id) {
                workspace.members.insert(user);
            }
        }
    }

    fn let_in(&mut self, user: u64, password: &str) -> Answer {
        self.roster.edit(user, |person| person.password = Some(password.to_owned()));
        let home = self.home();
        self.enter(user, &home)
    }

    fn enter(&mut self, user: u64, next: &str) -> Answer {
        let session = random_word();
        self.sessions.insert(session.clone(), user);
        Answer::redirect(next)
            .with("set-cookie", csrf_cookie(&random_word()[..32]))
            .with("set-cookie", format!("sessionid={session}; HttpOnly; Max-Age=1209600; Path=/; SameSite=Lax"))
    }

    pub(crate) fn home(&self) -> String {
        format!("{}/", self.sub_path)
    }
}

fn field<'a>(form: &'a [(String, String)], name: &str) -> &'a str {
    form.iter().find(|(n, _)| n == name).map_or("", |(_, value)| value)
}

fn csrf_cookie(secret: &str) -> String {
    format!("csrftoken={secret}; Max-Age=31449600; Path=/; SameSite=Lax")
}

/// The cookie's secret must come back in the form or a header, bare or masked as the page shows it.
fn csrf_holds(call: &Call) -> bool {
    let Some(cookie) = call.cookie("csrftoken").filter(|c| c.len() == 32) else { return false };
    let form = call.form_body();
    let sent = match field(&form, "csrfmiddlewaretoken") {
        "" => call.header("x-csrftoken").unwrap_or_default(),
        field => field,
    };
    sent == cookie || unmasked(sent).as_deref() == Some(cookie)
}

const ALPHABET: &[u8; 62] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

/// Django's mask: 32 random letters, then the secret shifted by them. So the field differs from the cookie.
fn masked(secret: &str) -> String {
    let mask = random_word()[..32].to_owned();
    let shifted: String = mask.bytes().zip(secret.bytes()).map(|(m, s)| letter(place(s) + place(m))).collect();
    mask + &shifted
}

fn unmasked(text: &str) -> Option<String> {
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    let (mask, shifted) = text.split_at(32);
    Some(mask.bytes().zip(shifted.bytes()).map(|(m, s)| letter(place(s) + ALPHABET.len() - place(m))).collect())
}

fn place(letter: u8) -> usize {
    ALPHABET.iter().position(|l| *l == letter).unwrap_or_default()
}

fn letter(place: usize) -> char {
    char::from(ALPHABET[place % ALPHABET.len()])
}
