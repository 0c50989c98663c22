//! Small numbers for large values, and bits by two of them.

use std::collections::BTreeMap;

/// A dense matrix of bits.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct Matrix {
    columns: usize,
    bits: Vec<u64>,
}

impl Matrix {
    pub(crate) fn new(rows: usize, columns: usize) -> Self {
        Self { columns, bits: vec![0; (rows * columns).div_ceil(64)] }
    }

    pub(crate) fn set(&mut self, row: usize, column: usize) {
        let at = row * self.columns + column;
        self.bits[at / 64] |= 1 << (at % 64);
    }

    #[inline]
    pub(crate) fn get(&self, row: usize, column: usize) -> bool {
        let at = row * self.columns + column;
        self.bits[at / 64] & (1 << (at % 64)) != 0
    }
}

/// Numbers values in the order in which they come.
#[derive(Clone, Debug)]
pub(crate) struct Numbers<T> {
    by_value: BTreeMap<T, usize>,
}

impl<T: Ord + Clone> Numbers<T> {
    pub(crate) const fn new() -> Self {
        Self { by_value: BTreeMap::new() }
    }

    /// Values that have their numbers already.
    pub(crate) fn of(values: &[T]) -> Self {
        Self { by_value: values.iter().cloned().zip(0..).collect() }
    }

    pub(crate) fn number(&mut self, value: T) -> usize {
        let next = self.by_value.len();
        *self.by_value.entry(value).or_insert(next)
    }

    pub(crate) fn into_values(self) -> Vec<T> {
        let mut values: Vec<(usize, T)> = self.by_value.into_iter().map(|(value, number)| (number, value)).collect();
        values.sort_by_key(|(number, _)| *number);
        values.into_iter().map(|(_, value)| value).collect()
    }
}
