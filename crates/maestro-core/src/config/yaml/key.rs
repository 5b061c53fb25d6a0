//! When two mapping keys are the same key: Python's `==` and `hash()` decide, so `1`, `1.0` and `true` collide.

use crate::config::node::Value;
use std::sync::Arc;

/// A key as a Python dictionary tells it from others.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum KeyId {
    Null,
    Integer(i128),
    /// A float that equals no integer, by its bits; `PyYAML` makes one object of all NaNs, which so equals itself.
    Fraction(u64),
    Text(Arc<str>),
    Moment(Arc<str>),
    Bytes(Arc<[u8]>),
    Secret(Arc<str>),
}

impl KeyId {
    /// The identity of a key; `None` for lists and mappings, which Python cannot hash.
    pub(super) fn of(value: &Value) -> Option<Self> {
        Some(match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Integer(i128::from(*value)),
            Value::Int(number) => Self::Integer(number.value),
            Value::Float(number) => Self::of_float(number.value),
            Value::Str(text) => Self::Text(Arc::clone(text)),
            Value::Timestamp(text) => Self::Moment(Arc::clone(text)),
            Value::Binary(bytes) => Self::Bytes(Arc::clone(bytes)),
            Value::Secret(name) => Self::Secret(Arc::clone(name)),
            Value::Seq(_) | Value::Map(_) => return None,
        })
    }

    fn of_float(value: f64) -> Self {
        // 2^127; every float below it that has no fraction is exactly an i128.
        const LIMIT: f64 = 170_141_183_460_469_231_731_687_303_715_884_105_728.0;
        if value.fract() == 0.0 && value.abs() < LIMIT {
            #[expect(clippy::cast_possible_truncation, reason = "the value is whole and in range")]
            return Self::Integer(value as i128);
        }
        Self::Fraction(if value.is_nan() { f64::NAN.to_bits() } else { value.to_bits() })
    }
}
