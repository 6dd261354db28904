//! The fault script: which request goes wrong, how often and how. A fault that comes after the effect says so in its name;
//! every other one keeps the request from having any.

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    Status429 {
        retry_after: Option<u64>,
    },
    Status5xxJson {
        status: u16,
    },
    Status5xxHtml {
        status: u16,
    },
    /// 200 with a web page, as a login wall or a proxy answers.
    HtmlInsteadOfJson,
    /// It takes effect at once, the answer comes late.
    Slow {
        milliseconds: u64,
    },
    /// The connection is closed without an answer, and nothing took effect.
    CutBefore,
    /// It took effect, then the connection is closed without an answer.
    CutAfter,
    /// It took effect, then the answer is a proxy's error.
    Status5xxAfter {
        status: u16,
    },
    /// A page lacks its last row; `count` and `next` say nothing of it.
    ShortPage,
    /// A page shows its first row in place of its last one too.
    DuplicateRow,
    /// 200 with `count` 0 and no rows.
    EmptyRoster,
    TokenRevoked,
    /// 302 to this URL.
    RedirectToOtherHost {
        location: String,
    },
    Forbidden403,
    HangForever,
    /// It took effect, then the answer never comes.
    HangAfter,
}

/// Which requests. Everything that is set must fit.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Matcher {
    pub method: Option<String>,
    /// Below the sub-path; `*` stands for any run of characters, a trailing slash for nothing. None: every path.
    pub path: Option<String>,
    pub query_contains: Option<String>,
    /// Looked for in the body as it was sent.
    pub body_contains: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    #[serde(default)]
    pub matcher: Matcher,
    /// 1: the first request that fits is hit; 3: two get through before.
    #[serde(default = "one")]
    pub nth: u64,
    /// How many are hit; none: all from then on. Left out in JSON: one.
    #[serde(default = "once")]
    pub times: Option<u64>,
    pub kind: FaultKind,
}

fn one() -> u64 {
    1
}

#[expect(clippy::unnecessary_wraps, reason = "serde wants the field's own type")]
fn once() -> Option<u64> {
    Some(1)
}

impl Fault {
    /// Hits once, at the first request with this method and path.
    pub fn on(method: &str, path: &str, kind: FaultKind) -> Fault {
        let matcher = Matcher { method: Some(method.to_owned()), path: Some(path.to_owned()), ..Matcher::default() };
        Fault { matcher, nth: 1, times: Some(1), kind }
    }

    /// Hits once, whatever comes next.
    pub fn any(kind: FaultKind) -> Fault {
        Fault { matcher: Matcher::default(), nth: 1, times: Some(1), kind }
    }

    pub fn nth(mut self, nth: u64) -> Fault {
        self.nth = nth;
        self
    }

    pub fn times(mut self, times: u64) -> Fault {
        self.times = Some(times);
        self
    }

    pub fn always(mut self) -> Fault {
        self.times = None;
        self
    }

    pub fn with_query(mut self, part: &str) -> Fault {
        self.matcher.query_contains = Some(part.to_owned());
        self
    }

    pub fn with_body(mut self, part: &str) -> Fault {
        self.matcher.body_contains = Some(part.to_owned());
        self
    }
}

impl Matcher {
    fn fits(&self, request: &Aim<'_>) -> bool {
        self.method.as_deref().is_none_or(|m| m == "*" || m.eq_ignore_ascii_case(request.method))
            && self.path.as_deref().is_none_or(|p| fits(p.trim_end_matches('/'), request.path.trim_end_matches('/')))
            && self.query_contains.as_deref().is_none_or(|q| request.query.contains(q))
            && self.body_contains.as_deref().is_none_or(|b| request.body.contains(b))
    }
}

/// What of a request a matcher looks at.
pub(crate) struct Aim<'a> {
    pub method: &'a str,
    pub path: &'a str,
    pub query: &'a str,
    pub body: &'a str,
}

#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<Armed>);

#[derive(Debug)]
struct Armed {
    fault: Fault,
    seen: u64,
    hit: u64,
}

impl Faults {
    pub(crate) fn arm(&mut self, fault: Fault) {
        self.0.push(Armed { fault, seen: 0, hit: 0 });
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// The first armed fault that fits strikes; the others count the request as seen all the same.
    pub(crate) fn strike(&mut self, request: &Aim<'_>) -> Option<FaultKind> {
        let mut struck = None;
        for armed in &mut self.0 {
            if !armed.fault.matcher.fits(request) {
                continue;
            }
            armed.seen += 1;
            let left = armed.fault.times.is_none_or(|times| armed.hit < times);
            if struck.is_none() && left && armed.seen >= armed.fault.nth {
                armed.hit += 1;
                struck = Some(armed.fault.kind.clone());
            }
        }
        self.0.retain(|armed| armed.fault.times.is_none_or(|times| armed.hit < times));
        struck
    }
}

/// Whether `text` is `pattern`, in which `*` stands for any run of characters.
pub(crate) fn fits(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = text.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn a_star_stands_for_any_run_and_all_else_for_itself() {
        assert!(fits("/api/organizations/*/memberships", "/api/organizations/1/memberships"));
        assert!(!fits("/api/organizations/*/memberships", "/api/organizations/1/memberships/7"));
        assert!(fits("/api/*", "/api/invite/revoke") && fits("*", "") && fits("/a*c*e", "/abcde"));
        assert!(!fits("/api", "/api/invite") && !fits("a*a", "a"));
    }
}
