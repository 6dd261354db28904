//! The two kinds people write, their schema, rules, bounds and status. Knows neither Label Studio's
//! wire format nor kube's runtime, and decides nothing.

mod address;
mod guards;
mod organization;
mod organization_status;
mod reasons;
mod status;
mod user_invite;

pub use address::{folded, folded_domain, in_unicode, is_one_address};
pub use guards::{Grant, GrantedRole, Guards, IdentityProvider, UnmanagedMembers};
pub use organization::{
    Bootstrap, Credentials, DefaultRole, InviteLink, KeyRef, Mode, Organization, OrganizationSpec, PasswordKeyRef,
    RateLimit, SecretKeyRef, Signup, SignupWorkload, Tls, WorkloadKind,
};
pub use organization_status::{
    Approval, Departure, HeldSummary, InFlight, InviteLinkStatus, LockedWorkload, MemberCounts, OrganizationStatus,
    PlanStatus, Progress, RemovalBucket, Rotating, Seats, Target, UnmanagedMember,
};
pub use reasons::reason_named;
pub use status::{HeldReason, InviteRole, Person, PersonState, SAME_WISH, condition, later, seconds};
pub use user_invite::{
    DeletionPolicy, InviteCounts, OrganizationRef, Resend, UserInvite, UserInviteSpec, UserInviteStatus,
};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{CustomResourceDefinition, JSONSchemaProps};
use kube::CustomResourceExt as _;
use std::collections::BTreeMap;

/// API group of both kinds; also the prefix of every annotation and of the finalizer.
pub const GROUP: &str = "labelstudio.rs";
/// The version that is written, as `GROUP/VERSION` in `apiVersion`.
pub const VERSION: &str = "v1alpha1";
/// On every UserInvite before the operator acts for it; removed once its departures are handed over.
pub const FINALIZER: &str = "labelstudio.rs/departures";
/// Any new value: a pass now. Echoed in `status.lastHandledReconcileAt`.
pub const RECONCILE_ANNOTATION: &str = "labelstudio.rs/reconcile";
/// Names the digest of what a guard holds, on the Organization.
pub const APPROVE_ANNOTATION: &str = "labelstudio.rs/approve";
/// Addresses by comma, or `*`, on the UserInvite; what follows a blank only makes the value new.
pub const REINVITE_ANNOTATION: &str = "labelstudio.rs/reinvite";
/// Any new value, on the Organization: a new invite link. Echoed in `status.inviteLink.lastHandledRotate`.
pub const ROTATE_ANNOTATION: &str = "labelstudio.rs/rotate-invite-link";
/// On an Organization that is taken for another one, since its server was restored from that one's backup: the digest that its
/// condition names.
pub const SEPARATE_ANNOTATION: &str = "labelstudio.rs/separate-server";

/// Both definitions, in the order in which they are installed.
pub fn definitions() -> [CustomResourceDefinition; 2] {
    [Organization::crd(), UserInvite::crd()].map(|mut definition| {
        for version in &mut definition.spec.versions {
            let schema = version.schema.as_mut().and_then(|schema| schema.open_api_v3_schema.as_mut());
            schema.into_iter().for_each(leave_out_nullable_false);
        }
        definition
    })
}

/// A field says `nullable: false` so that the derive does not make it nullable. The API server does not store a false, so
/// in a file it would differ from what is there at each apply.
fn leave_out_nullable_false(schema: &mut JSONSchemaProps) {
    if schema.nullable == Some(false) {
        schema.nullable = None;
    }
    schema.properties.iter_mut().flat_map(BTreeMap::values_mut).for_each(leave_out_nullable_false);
}
