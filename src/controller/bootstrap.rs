//! The first account of an empty server: signs up with the declared address, and stores its token in the Secret that the
//! Organization refers to. Begins with signing in, so that a crash at any point is caught up with and nobody signs up twice.
//! Never runs against a server that has an organization of somebody else, and never overwrites a token.

use super::credentials::Place;
use super::objects::MANAGER;
use crate::engine::apply::AUDIT;
use crate::engine::problem::{Names, Problem};
use crate::label_studio::{Complaint, Entry, Error, Session, SignUp, Timeouts, Token, Traffic, Visitor};
use crate::resources::{Bootstrap, Organization};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams};
use kube::{Api, ResourceExt as _};
use secrecy::{ExposeSecret as _, SecretString};

/// What Label Studio's form takes (measured on open-source 1.23.2).
const SHORTEST_PASSWORD: usize = 8;
const LONGEST_PASSWORD: usize = 128;

pub struct Bootstrapping<'a> {
    pub kube: &'a kube::Client,
    pub organization: &'a Organization,
    pub bootstrap: &'a Bootstrap,
    pub password: SecretString,
    pub place: Place,
    pub timeouts: Timeouts,
    pub traffic: Traffic,
}

/// Ends with the token in its Secret, and returns it.
pub async fn make_first_account(job: &Bootstrapping<'_>) -> Result<Token, Problem> {
    job.check_password()?;
    // Before there is an account: what cannot be kept is not begun.
    job.store(&SecretString::from("label-studio-operator"), true).await?;
    let Place { base_url, ca_bundle } = job.place.clone();
    let visitor = Visitor::new(base_url, ca_bundle.as_deref(), job.timeouts, job.traffic.clone());
    let visitor = visitor.map_err(|error| job.failed(&error))?;
    let email = job.email();
    let entry = visitor.sign_in(&email, &job.password).await.map_err(|error| job.failed(&error))?;
    let session = match entry {
        Entry::In(session) => session,
        Entry::Refused(_) | Entry::NotPermitted => job.sign_up(&visitor, &email).await?,
    };
    // Before a token is made, which may end another one.
    if !visitor.is_owner(&session).await.map_err(|error| job.failed(&error))? {
        return Err(job.not_owner());
    }
    let token = visitor.token(&session).await.map_err(|error| job.failed(&error))?;
    let read = Token::parse(token.clone()).map_err(|error| job.failed(&Error::Token(error)))?;
    job.store(&token, false).await?;
    Ok(read)
}

impl Bootstrapping<'_> {
    /// As the server folds it.
    fn email(&self) -> String {
        crate::resources::folded(&self.bootstrap.email)
    }

    fn check_password(&self) -> Result<(), Problem> {
        let password = self.password.expose_secret();
        let length = password.chars().count();
        let complaint = if password.ends_with('\n') {
            "ends with a newline: create the Secret with printf or --from-literal".to_owned()
        } else if !(SHORTEST_PASSWORD..=LONGEST_PASSWORD).contains(&length) {
            format!("has {length} characters: Label Studio takes {SHORTEST_PASSWORD} to {LONGEST_PASSWORD}")
        } else if password.eq_ignore_ascii_case(&self.email()) {
            "is the address itself: choose another".to_owned()
        } else {
            return Ok(());
        };
        let at = &self.bootstrap.password_secret_ref;
        let message = format!(
            "spec.bootstrap.passwordSecretRef: the password in key {:?} of Secret {:?} {complaint}",
            at.key, at.name
        );
        Err(Problem::stalled("BootstrapPasswordRefused", message))
    }

    /// Founds the organization, if there is none.
    async fn sign_up(&self, visitor: &Visitor, email: &str) -> Result<Session, Problem> {
        if visitor.has_organization().await.map_err(|error| self.failed(&error))? {
            let state = visitor.sign_up_state().await.map_err(|error| self.failed(&error))?;
            return Err(self.has_organization(state));
        }
        tracing::info!(target: AUDIT, action = "sign up", email, url = %self.place.base_url, "first account");
        match visitor.sign_up(email, &self.password).await.map_err(|error| self.failed(&error))? {
            Entry::In(session) => Ok(session),
            Entry::NotPermitted => Err(self.has_organization(SignUp::Closed)),
            Entry::Refused(complaint) => {
                let said = match complaint {
                    Complaint::EmailTaken => "there is an account with it, and its password is another",
                    Complaint::Email => "Label Studio does not take this address",
                    Complaint::Password => "Label Studio does not take this password",
                    Complaint::Other => "Label Studio's sign-up form refuses it",
                };
                Err(Problem::stalled("BootstrapRefused", format!("spec.bootstrap.email {email:?}: {said}")))
            }
        }
    }

    fn has_organization(&self, state: SignUp) -> Problem {
        let email = &self.bootstrap.email;
        let secret = &self.organization.spec.credentials.secret_ref;
        let why = match state {
            SignUp::Open | SignUp::Unclear => "this server has an organization already",
            SignUp::Closed => {
                "this server has an organization already, or its sign-up is closed (LABEL_STUDIO_DISABLE_SIGNUP_WITHOUT_LINK), which an empty server must not be"
            }
        };
        let message = format!(
            "spec.bootstrap: {why}, and {email:?} cannot sign in with the password of spec.bootstrap.passwordSecretRef; nothing was created: put a token of its Owner into key {:?} of Secret {:?}",
            secret.key, secret.name
        );
        Problem::stalled("BootstrapNotEmpty", message)
    }

    /// A token of somebody who is a mere member would be worse than none.
    fn not_owner(&self) -> Problem {
        let message = format!(
            "spec.bootstrap.email {:?} has an account on this server and is not the Owner of its organization: put a token of the Owner into the Secret of spec.credentials.secretRef",
            self.bootstrap.email
        );
        Problem::stalled("BootstrapNotOwner", message)
    }

    /// Creates the Secret, or adds the key to one that lacks it; by server-side apply, never forced, so that a value that
    /// somebody else put there stays. `dry`: only to see whether it could.
    async fn store(&self, token: &SecretString, dry: bool) -> Result<(), Problem> {
        let at = &self.organization.spec.credentials.secret_ref;
        let namespace = self.organization.namespace().unwrap_or_default();
        let api: Api<Secret> = Api::namespaced(self.kube.clone(), &namespace);
        // `data` and not `stringData`: only so does the API server know whose value it is.
        let secret = serde_json::json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": at.name},
            "data": {&at.key: STANDARD.encode(token.expose_secret())},
        });
        // One manager for each Organization: two keys of one Secret do not take each other away. No label besides: somebody
        // else's would be a conflict.
        let manager = format!("{MANAGER}/{}", self.organization.uid().unwrap_or_default());
        let parameters = PatchParams { dry_run: dry, ..PatchParams::apply(&manager) };
        let stored = api.patch(&at.name, &parameters, &Patch::Apply(&secret)).await;
        stored.map(drop).map_err(|error| {
            let what =
                format!("spec.bootstrap: the token cannot be stored in key {:?} of Secret {:?}", at.key, at.name);
            match error {
                kube::Error::Api(status) if status.code == 403 => Problem::stalled(
                    "BootstrapForbidden",
                    format!(
                        "{what}: the operator may not write Secrets here: install the chart with bootstrap.enabled=true"
                    ),
                ),
                kube::Error::Api(status) if status.code == 409 => Problem::stalled(
                    "BootstrapConflict",
                    format!("{what}: somebody else has a value there: remove the key, or put a token there by hand"),
                ),
                error => Problem::transient("SecretUnwritten", format!("{what}: {error}")),
            }
        })
    }

    fn failed(&self, error: &Error) -> Problem {
        let at = &self.bootstrap.password_secret_ref;
        let secret = format!("key {:?} of Secret {:?}", at.key, at.name);
        Problem::from_client(error, &Names { secret, ..Names::of(&self.organization.spec) })
    }
}
