//! Keeps equal values once. Pods of one template differ in a few words only; sharing the rest takes a pod from
//! kilobytes to some hundred bytes.

use std::any::{Any, TypeId};
use std::collections::BTreeMap;
use std::fmt;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher, Hash};
use std::sync::{Arc, Weak};

/// Values seen so far, by content. Holds them weakly: what no object uses any more is dropped.
#[derive(Default)]
pub struct Pool {
    texts: BTreeMap<u64, Vec<Weak<str>>>,
    values: BTreeMap<(TypeId, u64), Vec<Weak<dyn Any + Send + Sync>>>,
    since_sweep: usize,
}

/// Entries between two sweeps for values that nobody holds any more.
const SWEEP_EVERY: usize = 10_000;

impl Pool {
    /// Replaces `text` by an equal text that was seen before, if there is one.
    pub fn text(&mut self, text: &mut Arc<str>) {
        let bucket = self.texts.entry(hash(&**text)).or_default();
        if let Some(known) = bucket.iter().filter_map(Weak::upgrade).find(|known| **known == **text) {
            *text = known;
            return;
        }
        bucket.push(Arc::downgrade(text));
        self.grown();
    }

    /// Replaces `value` by an equal value that was seen before, if there is one.
    pub fn value<T: PartialEq + Hash + Send + Sync + 'static>(&mut self, value: &mut Arc<T>) {
        let bucket = self.values.entry((TypeId::of::<T>(), hash(&**value))).or_default();
        for known in bucket.iter().filter_map(Weak::upgrade) {
            if let Ok(known) = known.downcast::<T>()
                && *known == **value
            {
                *value = known;
                return;
            }
        }
        let erased: Arc<dyn Any + Send + Sync> = Arc::clone(value) as _;
        bucket.push(Arc::downgrade(&erased));
        self.grown();
    }

    fn grown(&mut self) {
        self.since_sweep += 1;
        if self.since_sweep < SWEEP_EVERY {
            return;
        }
        self.since_sweep = 0;
        self.texts.retain(|_, bucket| {
            bucket.retain(|known| known.strong_count() > 0);
            !bucket.is_empty()
        });
        self.values.retain(|_, bucket| {
            bucket.retain(|known| known.strong_count() > 0);
            !bucket.is_empty()
        });
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("texts", &self.texts.len()).field("values", &self.values.len()).finish()
    }
}

fn hash<T: Hash + ?Sized>(value: &T) -> u64 {
    // Without a random key: which values share a bucket is the same in every run.
    BuildHasherDefault::<DefaultHasher>::default().hash_one(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_become_one_and_unused_ones_are_dropped() {
        let mut pool = Pool::default();
        let (mut a, mut b) = (Arc::new(vec!["x".to_owned()]), Arc::new(vec!["x".to_owned()]));
        pool.value(&mut a);
        pool.value(&mut b);
        assert!(Arc::ptr_eq(&a, &b));

        drop((a, b));
        let mut c = Arc::new(vec!["x".to_owned()]);
        pool.value(&mut c);
        assert_eq!(Arc::strong_count(&c), 1);
    }
}
