//! A YAML document as a tree in which each value knows where it stands. Knows no kind and no schema.

use serde::Serialize;
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::Number;
use serde_saphyr::{Location, Spanned};
use std::fmt;

#[derive(Clone, Debug)]
pub struct Node {
    pub at: Place,
    pub value: Value,
}

/// Counted from one, in characters.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Place {
    pub line: u64,
    pub column: u64,
}

#[derive(Clone, Debug)]
pub enum Value {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Node>),
    /// In the order in which they are written.
    Map(Vec<(Key, Node)>),
}

#[derive(Clone, Debug)]
pub struct Key {
    pub name: String,
    pub at: Place,
}

/// One step of a path from the top of a document.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Step {
    Field(String),
    Item(usize),
}

/// As Kubernetes writes it: `spec.emails[0]`.
pub fn path(steps: &[Step]) -> String {
    let mut text = String::new();
    for step in steps {
        match step {
            Step::Field(name) if text.is_empty() => text.push_str(name),
            Step::Field(name) => text = format!("{text}.{name}"),
            Step::Item(index) => text = format!("{text}[{index}]"),
        }
    }
    text
}

impl Node {
    pub fn get(&self, name: &str) -> Option<&Node> {
        self.entry(name).map(|(_, node)| node)
    }

    pub fn entry(&self, name: &str) -> Option<(&Key, &Node)> {
        let Value::Map(entries) = &self.value else { return None };
        entries.iter().find(|(key, _)| key.name == name).map(|(key, node)| (key, node))
    }

    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    pub fn items(&self) -> &[Node] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    /// As deep as the path can be followed: something that is missing stands where it would have to be.
    pub fn place(&self, steps: &[Step]) -> Place {
        let mut node = self;
        let mut at = self.at;
        for (number, step) in steps.iter().enumerate() {
            let next = match step {
                Step::Field(name) => node.entry(name).map(|(key, value)| {
                    // The value of a field, or where something below it is missing, its name.
                    at = if number + 1 == steps.len() { value.at } else { key.at };
                    value
                }),
                Step::Item(index) => node.items().get(*index).inspect(|value| at = value.at),
            };
            match next {
                Some(next) => node = next,
                None => break,
            }
        }
        at
    }

    /// Where the name of a field stands.
    pub fn place_of_name(&self, parent: &[Step], name: &str) -> Place {
        let found = parent.iter().try_fold(self, |node, step| match step {
            Step::Field(name) => node.get(name),
            Step::Item(index) => node.items().get(*index),
        });
        found.and_then(|node| node.entry(name)).map_or_else(|| self.place(parent), |(key, _)| key.at)
    }

    pub fn json(&self) -> serde_json::Value {
        match &self.value {
            Value::Null => serde_json::Value::Null,
            Value::Bool(value) => (*value).into(),
            Value::Number(number) => number.clone().into(),
            Value::Text(text) => text.clone().into(),
            Value::List(items) => items.iter().map(Self::json).collect(),
            Value::Map(entries) => entries.iter().map(|(key, node)| (key.name.clone(), node.json())).collect(),
        }
    }
}

impl From<Location> for Place {
    fn from(location: Location) -> Self {
        // Nothing is written before the first character.
        Self { line: location.line().max(1), column: location.column().max(1) }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Spanned { value, referenced, .. } = Spanned::<Value>::deserialize(deserializer)?;
        Ok(Self { at: referenced.into(), value })
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any)
    }
}

struct Any;

impl<'de> Visitor<'de> for Any {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Value::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("a number that JSON cannot hold"))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Value::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut entries: Vec<(Key, Node)> = Vec::new();
        while let Some(Spanned { value: name, referenced, .. }) = access.next_key::<Spanned<String>>()? {
            if entries.len() >= MOST_ENTRIES {
                return Err(A::Error::custom("a mapping of too many fields"));
            }
            entries.push((Key { name, at: referenced.into() }, access.next_value()?));
        }
        Ok(Value::Map(entries))
    }
}

/// Finding a field looks at each: nothing that people write has so many in one place.
const MOST_ENTRIES: usize = 100_000;
