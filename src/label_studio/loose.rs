//! Values of an answer whose form is only known from examples: a value of another type counts as not said and must not
//! spoil the rest. Read straight into what is kept, so that a large answer takes no more memory than its bytes.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// A text, a whole number or a flag; anything else is let go.
#[derive(Debug, Default)]
pub(super) enum Scalar {
    Text(String),
    Number(i64),
    Flag(bool),
    #[default]
    Other,
}

/// An object; anything else reads as an empty one.
#[derive(Debug, Default)]
pub(super) struct Object<T>(pub(super) T);

impl Scalar {
    pub(super) fn text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    pub(super) fn number(&self) -> Option<i64> {
        if let Self::Number(number) = self { Some(*number) } else { None }
    }

    pub(super) fn flag(&self) -> Option<bool> {
        if let Self::Flag(flag) = self { Some(*flag) } else { None }
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Loose(PhantomData::<Self>))
    }
}

impl<'de, T: Deserialize<'de> + Default> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Loose(PhantomData::<Self>))
    }
}

/// What becomes of each type of value; the default where it is of no use.
trait Take<'de>: Default {
    fn text(_text: &str) -> Self {
        Self::default()
    }
    fn number(_number: i64) -> Self {
        Self::default()
    }
    fn flag(_flag: bool) -> Self {
        Self::default()
    }
    fn object<A: MapAccess<'de>>(mut object: A) -> Result<Self, A::Error> {
        while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Self::default())
    }
}

impl Take<'_> for Scalar {
    fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
    fn number(number: i64) -> Self {
        Self::Number(number)
    }
    fn flag(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl<'de, T: Deserialize<'de> + Default> Take<'de> for Object<T> {
    fn object<A: MapAccess<'de>>(object: A) -> Result<Self, A::Error> {
        T::deserialize(MapAccessDeserializer::new(object)).map(Self)
    }
}

struct Loose<T>(PhantomData<T>);

impl<'de, T: Take<'de>> Visitor<'de> for Loose<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }
    fn visit_str<E>(self, text: &str) -> Result<T, E> {
        Ok(T::text(text))
    }
    fn visit_i64<E>(self, number: i64) -> Result<T, E> {
        Ok(T::number(number))
    }
    fn visit_u64<E>(self, number: u64) -> Result<T, E> {
        Ok(i64::try_from(number).map(T::number).unwrap_or_default())
    }
    fn visit_f64<E>(self, _number: f64) -> Result<T, E> {
        Ok(T::default())
    }
    fn visit_bool<E>(self, flag: bool) -> Result<T, E> {
        Ok(T::flag(flag))
    }
    fn visit_unit<E>(self) -> Result<T, E> {
        Ok(T::default())
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<T, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(T::default())
    }
    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<T, A::Error> {
        T::object(object)
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Default, Deserialize)]
    #[serde(default)]
    struct Inner {
        count: Scalar,
    }

    #[test]
    fn a_value_of_another_type_is_not_said_and_spoils_nothing() {
        let odd = ["null", "1.5", "18446744073709551615", "[1,{\"count\":2}]", "{\"x\":[1]}"];
        for text in odd {
            let value: Scalar = serde_json::from_str(text).unwrap();
            assert!(matches!(value, Scalar::Other), "{text}: {value:?}");
        }
        for text in ["null", "1.5", "3", "\"count\"", "true", "[1,{\"count\":2}]", "{\"count\":[]}", "{}"] {
            let value: Object<Inner> = serde_json::from_str(text).unwrap();
            assert_eq!(value.0.count.number(), None, "{text}");
        }
    }

    #[test]
    fn what_is_of_its_type_is_kept() {
        let scalar = |text| serde_json::from_str::<Scalar>(text).unwrap();
        assert_eq!(scalar("\"a\\u0020b\"").text(), Some("a b"));
        assert_eq!((scalar("7").number(), scalar("-7").number()), (Some(7), Some(-7)));
        assert_eq!(scalar("false").flag(), Some(false));
        let object: Object<Inner> = serde_json::from_str(r#"{"more":{},"count":7}"#).unwrap();
        assert_eq!(object.0.count.number(), Some(7));
    }
}
