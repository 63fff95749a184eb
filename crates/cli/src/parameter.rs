//! One bootstrap parameter of an offer, as `--param` has it: `KEY[:TYPE]=VALUE`.

use std::fmt::Display;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tubes::Value;

/// A name and a typed value that the contact's programs have to know.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Parameter {
    pub(crate) key: String,
    pub(crate) value: Value,
}

impl FromStr for Parameter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some((name, value)) = text.split_once('=') else {
            return Err(format!(
                "`{text}` is not KEY[:TYPE]=VALUE: the = is missing"
            ));
        };
        let (key, kind) = name.rsplit_once(':').unwrap_or((name, "str"));
        if key.is_empty() {
            return Err(format!(
                "`{text}` is not KEY[:TYPE]=VALUE: the key is missing"
            ));
        }
        Ok(Self {
            key: key.to_owned(),
            value: read(kind, value)?,
        })
    }
}

/// A value's type as users call it, and the value as text.
pub(crate) fn write(value: &Value) -> (&'static str, String) {
    match value {
        Value::Bool(value) => ("bool", value.to_string()),
        Value::Bytes(value) => ("bytes", STANDARD.encode(value)),
        Value::Int(value) => ("int", value.to_string()),
        Value::Str(value) => ("str", value.clone()),
        Value::Uint(value) => ("uint", value.to_string()),
    }
}

fn read(kind: &str, value: &str) -> Result<Value, String> {
    let wrong = |what: &str, why: &dyn Display| format!("`{value}` is no {what}: {why}");
    match kind {
        "bool" => match value {
            "true" | "1" => Ok(Value::Bool(true)),
            "false" | "0" => Ok(Value::Bool(false)),
            _ => Err(wrong("bool", &"write true or false")),
        },
        "bytes" => STANDARD
            .decode(value)
            .map(Value::Bytes)
            .map_err(|why| wrong("base64", &why)),
        "int" => value
            .parse()
            .map(Value::Int)
            .map_err(|why| wrong("int", &why)),
        "str" => Ok(Value::Str(value.to_owned())),
        "uint" => value
            .parse()
            .map(Value::Uint)
            .map_err(|why| wrong("uint", &why)),
        _ => Err(format!(
            "there is no type `{kind}`: it is str, bytes (base64), int, uint or bool"
        )),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    fn value(text: &str) -> Result<Value, String> {
        text.parse().map(|parameter: Parameter| parameter.value)
    }

    #[test]
    fn a_value_is_a_string_unless_told_otherwise() {
        let parameter: Parameter = "path=/a=b:c".parse().unwrap();
        assert_eq!(parameter.key, "path");
        assert_eq!(parameter.value, Value::Str("/a=b:c".to_owned()));
    }

    #[test]
    fn every_type_reads_what_it_writes() {
        for (text, kind, written) in [
            ("k:str=x", "str", "x"),
            ("k:bytes=AAEC", "bytes", "AAEC"),
            ("k:int=-7", "int", "-7"),
            ("k:uint=7", "uint", "7"),
            ("k:bool=1", "bool", "true"),
        ] {
            assert_eq!(write(&value(text).unwrap()), (kind, written.to_owned()));
        }
    }

    #[test]
    fn a_key_may_hold_colons_before_its_type() {
        let parameter: Parameter = "x:y:uint=1".parse().unwrap();
        assert_eq!(parameter.key, "x:y");
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, named) in [
            ("plain", "= is missing"),
            ("=x", "key is missing"),
            (":int=1", "key is missing"),
            ("k:float=1", "`float`"),
            ("k:int=x", "`x`"),
            ("k:uint=-1", "`-1`"),
            ("k:bool=yes", "true or false"),
            ("k:bytes=%", "base64"),
        ] {
            let why = value(text).unwrap_err();
            assert!(why.contains(named), "{text}: {why}");
        }
    }
}
