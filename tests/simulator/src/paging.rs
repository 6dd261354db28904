//! One page out of a list: which rows, and the envelope around them. A page costs its own length, not the list's.

use crate::answer::Answer;
use crate::call::{Call, with_parameter};
use crate::state::State;
use crate::switches::PastTheEnd;
use serde_json::{Value, json};
use std::ops::Range;

/// The page that was asked for, before it is known whether there is such a page.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    size: usize,
    page: Page,
}

#[derive(Clone, Copy, Debug)]
enum Page {
    Number(usize),
    Last,
    Nonsense,
}

/// Django calls everything `page_size=-1` asks for a page of a million.
const EVERYTHING: usize = 1_000_000;

impl Wanted {
    pub(crate) fn of(state: &State, call: &Call) -> Wanted {
        let usual = if state.is_community() { 20 } else { state.switches.default_page_size.max(1) };
        let mut size = match call.parameter("page_size").map(str::parse::<i64>) {
            Some(Ok(-1)) => EVERYTHING,
            Some(Ok(n)) if n > 0 => usize::try_from(n).unwrap_or(EVERYTHING),
            _ => usual,
        };
        if !state.is_community()
            && let Some(most) = state.switches.max_page_size
        {
            size = size.min(most.max(1));
        }
        let page = match call.parameter("page") {
            None => Page::Number(1),
            Some("last") => Page::Last,
            Some(text) => match text.parse::<usize>() {
                Ok(n) if n > 0 => Page::Number(n),
                _ => Page::Nonsense,
            },
        };
        Wanted { size, page }
    }

    /// Where in a list of `len` the page lies; None: there is no such page.
    fn locate(self, len: usize) -> Option<(usize, Range<usize>)> {
        let pages = len.div_ceil(self.size).max(1);
        let number = match self.page {
            Page::Number(n) if n <= pages => n,
            Page::Last => pages,
            _ => return None,
        };
        let start = (number - 1) * self.size;
        Some((number, start..len.min(start + self.size)))
    }
}

impl State {
    /// `len` rows are there to be shown, `count` is what the envelope claims, `row` makes one of them.
    pub(crate) fn page(&self, call: &Call, len: usize, count: usize, row: impl Fn(usize) -> Value) -> Answer {
        let wanted = Wanted::of(self, call);
        let Some((number, range)) = wanted.locate(len) else {
            let empty = !self.is_community()
                && self.switches.past_the_end == PastTheEnd::EmptyList
                && matches!(wanted.page, Page::Number(_));
            return if empty {
                Answer::json(200, envelope(count, None, None, Vec::new()))
            } else {
                Answer::page_not_found()
            };
        };
        if self.is_community() && self.switches.sqlite_page_limit && range.len() >= 999 {
            return self.refuse(500, "Expression tree is too large (maximum depth 1000)");
        }
        let next = (range.end < len).then(|| self.link(call, number + 1));
        let previous = (number > 1).then(|| self.link(call, number - 1));
        Answer::json(200, envelope(count, next, previous, range.map(row).collect()))
    }

    /// Absolute, from the Host header; page 1 is written without its number.
    fn link(&self, call: &Call, page: usize) -> String {
        let host = call.header("host").unwrap_or("localhost");
        let number = page.to_string();
        let query = with_parameter(&call.parameters, "page", (page > 1).then_some(number.as_str()));
        format!("http://{host}{}{}{query}", self.sub_path, call.path)
    }
}

fn envelope(count: usize, next: Option<String>, previous: Option<String>, results: Vec<Value>) -> Value {
    let link = |url: Option<String>| url.map_or(Value::Null, Value::String);
    let mut envelope = json!({"count": count, "next": link(next), "previous": link(previous)});
    envelope["results"] = Value::Array(results);
    envelope
}
