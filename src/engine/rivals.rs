//! Several Organizations in the cluster for one organization on one server: the oldest acts, the others do not. Pure.

use crate::label_studio::BaseUrl;
use crate::resources::{Organization, SEPARATE_ANNOTATION, Target};
use jiff::Timestamp;
use kube::ResourceExt as _;
use sha2::{Digest as _, Sha256};

/// Whether both are about the same organization on the same server.
pub fn is_same_place(one: &Target, other: &Target) -> bool {
    // Without a birthday the id says little: the first organization of most servers has the same.
    one.is_same(other) && (one.created_at.is_some() || is_same_url(&one.url, &other.url))
}

/// What names two servers that tell the same of themselves, since one was restored from a backup of the other. None: they
/// have one URL, so they are one.
pub fn separation(one: &Organization, other: &Organization) -> Option<String> {
    let mut urls = [normal(&one.spec.url), normal(&other.spec.url)];
    if urls[0] == urls[1] {
        return None;
    }
    urls.sort();
    let mut digest = format!("{:x}", Sha256::digest(urls.join("\n")));
    digest.truncate(12);
    Some(digest)
}

/// Whether a person has said of either of them that they are two.
pub fn are_separate(one: &Organization, other: &Organization) -> bool {
    let says = |organization: &Organization, digest: &str| {
        organization.annotations().get(SEPARATE_ANNOTATION).is_some_and(|said| said.trim() == digest)
    };
    separation(one, other).is_some_and(|digest| says(one, &digest) || says(other, &digest))
}

/// However it is written.
pub fn is_same_url(one: &str, other: &str) -> bool {
    normal(one) == normal(other)
}

fn normal(url: &str) -> String {
    BaseUrl::parse(url).map_or_else(|_| url.to_owned(), |url| url.as_str().to_owned())
}

/// The lower one acts: by age, then by namespace and name.
pub fn rank(organization: &Organization) -> (Option<Timestamp>, String, String) {
    let born = organization.creation_timestamp().map(|born| born.0);
    (born, organization.namespace().unwrap_or_default(), organization.name_any())
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    fn target(url: &str, born: Option<i64>) -> Target {
        let created_at = born.map(|born| Time(Timestamp::from_second(born).unwrap()));
        Target { organization_id: 1, created_at, edition: "Enterprise".to_owned(), url: url.to_owned() }
    }

    #[test]
    fn a_place_is_told_by_its_birthday_whatever_the_url_and_without_one_by_the_url() {
        let same = |one: (&str, Option<i64>), other: (&str, Option<i64>)| {
            is_same_place(&target(one.0, one.1), &target(other.0, other.1))
        };
        assert!(same(("https://a.example.com", Some(1)), ("https://b.example.com", Some(1))));
        assert!(!same(("https://a.example.com", Some(1)), ("https://a.example.com", Some(2))));
        assert!(same(("https://a.example.com", None), ("https://A.example.com:443/", None)));
        assert!(!same(("https://a.example.com", None), ("https://b.example.com", None)));
        assert!(!same(("https://a.example.com", None), ("https://a.example.com", Some(1))));
    }

    #[test]
    fn age_counts_before_names_and_namespaces_before_names() {
        let organization = |born: i64, namespace: &str, name: &str| {
            let spec = serde_json::json!({"url": "https://a.example.com", "credentials": {"secretRef": {"name": "t"}}});
            let mut organization = Organization::new(name, serde_json::from_value(spec).unwrap());
            organization.metadata.namespace = Some(namespace.to_owned());
            organization.metadata.creation_timestamp = Some(Time(Timestamp::from_second(born).unwrap()));
            rank(&organization)
        };
        assert!(organization(1, "z", "z") < organization(2, "a", "a"));
        assert!(organization(1, "a", "z") < organization(1, "b", "a"));
        assert!(organization(1, "a", "a") < organization(1, "a", "b"));
    }
}
