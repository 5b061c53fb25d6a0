//! Sorting with Python's order, which can fail and need not be consistent (NaN): a merge sort of our own, because
//! the standard library's may panic then.

use crate::config::template::failure::Res;
use crate::config::template::value::{Heap, Value};
use std::cmp::Ordering;

impl Heap {
    /// The values in order; equal ones keep theirs, also in reverse.
    pub(in crate::config::template) fn sorted(&self, values: Vec<Value>, reverse: bool) -> Res<Vec<Value>> {
        self.sorted_by(values.into_iter().map(|value| (value.clone(), value)).collect(), reverse)
    }

    /// The second of each pair, in the order of the first.
    pub(in crate::config::template) fn sorted_by(
        &self,
        keyed: Vec<(Value, Value)>,
        reverse: bool,
    ) -> Res<Vec<Value>> {
        let mut runs: Vec<Vec<(Value, Value)>> = keyed.into_iter().map(|pair| vec![pair]).collect();
        while runs.len() > 1 {
            let mut merged = Vec::with_capacity(runs.len().div_ceil(2));
            let mut pairs = runs.into_iter();
            while let Some(left) = pairs.next() {
                merged.push(match pairs.next() {
                    Some(right) => self.merged(left, right, reverse)?,
                    None => left,
                });
            }
            runs = merged;
        }
        Ok(runs.pop().unwrap_or_default().into_iter().map(|(_, value)| value).collect())
    }

    fn merged(
        &self,
        left: Vec<(Value, Value)>,
        right: Vec<(Value, Value)>,
        reverse: bool,
    ) -> Res<Vec<(Value, Value)>> {
        let first = if reverse { Ordering::Greater } else { Ordering::Less };
        let mut out = Vec::with_capacity(left.len() + right.len());
        let (mut left, mut right) = (left.into_iter().peekable(), right.into_iter().peekable());
        while let (Some((a, _)), Some((b, _))) = (left.peek(), right.peek()) {
            let next = if self.order(b, a)? == Some(first) { right.next() } else { left.next() };
            out.extend(next);
        }
        out.extend(left);
        out.extend(right);
        Ok(out)
    }
}
