//! Arithmetic of integers and floats, as Python has it; integers have 127 bits here.

use super::ast::Operator;
use super::failure::{Failure, Res};
use super::value::Value;
use std::cmp::Ordering;

/// The two sides of arithmetic once booleans count as 0 and 1.
pub(super) enum Numbers {
    Ints(i128, i128),
    Floats(f64, f64),
}

pub(super) fn number(value: &Value) -> Option<Value> {
    match value {
        Value::Bool(value) => Some(Value::Int(i128::from(*value))),
        Value::Int(_) | Value::Float(_) => Some(value.clone()),
        _ => None,
    }
}

#[expect(clippy::cast_precision_loss, reason = "Python rounds here too")]
pub(super) fn as_float(int: i128) -> f64 {
    int as f64
}

pub(super) fn numbers(a: &Value, b: &Value) -> Option<Numbers> {
    match (number(a)?, number(b)?) {
        (Value::Int(a), Value::Int(b)) => Some(Numbers::Ints(a, b)),
        (Value::Int(a), Value::Float(b)) => Some(Numbers::Floats(as_float(a), b)),
        (Value::Float(a), Value::Int(b)) => Some(Numbers::Floats(a, as_float(b))),
        (Value::Float(a), Value::Float(b)) => Some(Numbers::Floats(a, b)),
        _ => None,
    }
}

pub(super) fn too_large() -> Failure {
    Failure::render("the number is too large").note("integers of templates have at most 127 bits here")
}

pub(super) fn compare_int_float(int: i128, float: f64) -> Option<Ordering> {
    let rounded = as_float(int);
    match rounded.partial_cmp(&float)? {
        // Above 2^53 several integers round to one float.
        #[expect(clippy::cast_possible_truncation, reason = "saturates, and equals a rounded i128 here")]
        Ordering::Equal => Some(int.cmp(&(float as i128))),
        order => Some(order),
    }
}

pub(super) fn sign(operator: Operator) -> &'static str {
    match operator {
        Operator::Add => "+",
        Operator::Subtract => "-",
        Operator::Multiply => "*",
        Operator::Divide => "/",
        Operator::FloorDivide => "//",
        Operator::Remainder => "%",
        Operator::Power => "**",
        Operator::Concatenate => "~",
    }
}

fn division_by_zero() -> Failure {
    Failure::render("division by zero")
}

pub(super) fn int_arithmetic(operator: Operator, a: i128, b: i128) -> Res<Value> {
    let result = match operator {
        Operator::Add => a.checked_add(b),
        Operator::Subtract => a.checked_sub(b),
        Operator::Multiply => a.checked_mul(b),
        Operator::Divide => {
            return if b == 0 {
                Err(division_by_zero())
            } else {
                Ok(Value::Float(as_float(a) / as_float(b)))
            };
        }
        Operator::FloorDivide | Operator::Remainder => {
            if b == 0 {
                return Err(division_by_zero());
            }
            let (Some(quotient), Some(remainder)) = (a.checked_div(b), a.checked_rem(b)) else {
                return Err(too_large());
            };
            let down = remainder != 0 && (remainder < 0) != (b < 0);
            Some(match (operator, down) {
                (Operator::FloorDivide, false) => quotient,
                (Operator::FloorDivide, true) => quotient - 1,
                (_, false) => remainder,
                (_, true) => remainder + b,
            })
        }
        Operator::Power if b < 0 => {
            return float_arithmetic(Operator::Power, as_float(a), as_float(b)).map(Value::Float);
        }
        Operator::Power => match u32::try_from(b) {
            Ok(exponent) => a.checked_pow(exponent),
            Err(_) if matches!(a, 0 | 1) => Some(a),
            Err(_) => None,
        },
        Operator::Concatenate => None,
    };
    result.map(Value::Int).ok_or_else(too_large)
}

pub(super) fn float_arithmetic(operator: Operator, a: f64, b: f64) -> Res<f64> {
    Ok(match operator {
        Operator::Add => a + b,
        Operator::Subtract => a - b,
        Operator::Multiply => a * b,
        Operator::Divide | Operator::FloorDivide | Operator::Remainder if b == 0.0 => {
            return Err(division_by_zero());
        }
        Operator::Divide => a / b,
        Operator::FloorDivide | Operator::Remainder => {
            let (quotient, remainder) = floor_division(a, b);
            if operator == Operator::Remainder { remainder } else { quotient }
        }
        Operator::Power if a == 0.0 && b < 0.0 => return Err(division_by_zero()),
        Operator::Power if a < 0.0 && b.fract() != 0.0 && b.is_finite() => {
            return Err(Failure::render("a fractional power of a negative number is not a real number"));
        }
        Operator::Power => {
            let result = a.powf(b);
            if result.is_infinite() && a.is_finite() && b.is_finite() {
                return Err(too_large());
            }
            result
        }
        Operator::Concatenate => return Err(too_large()),
    })
}

/// Python's `divmod` of floats: the remainder has the sign of the divisor.
fn floor_division(a: f64, b: f64) -> (f64, f64) {
    let mut remainder = a % b;
    let mut quotient = (a - remainder) / b;
    if remainder == 0.0 {
        remainder = 0.0_f64.copysign(b);
    } else if (b < 0.0) != (remainder < 0.0) {
        remainder += b;
        quotient -= 1.0;
    }
    if quotient == 0.0 {
        return (0.0_f64.copysign(a / b), remainder);
    }
    let mut floor = quotient.floor();
    if quotient - floor > 0.5 {
        floor += 1.0;
    }
    (floor, remainder)
}
