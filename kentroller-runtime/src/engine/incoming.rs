//! What watches bring: into the cut, and to whom it concerns.

use serde::Serialize;

use super::queue::{Cause, Item};
use super::{BATCH, Engine};
use crate::store::watch::News;
use crate::store::{AnyKindStore, Changed};
use crate::switches::Switches;

impl<S: Switches + Serialize> Engine<S> {
    /// Takes in what there is, up to a batch.
    pub(super) fn take_in(&mut self, first: News) {
        let mut settings = self.settings_version == 0;
        settings |= self.take_in_one(first);
        for _ in 1..BATCH {
            let Ok(news) = self.news.try_recv() else { break };
            settings |= self.take_in_one(news);
        }
        if settings {
            self.follow_settings();
        }
        self.publish();
        self.wake_those_who_waited();
    }

    /// Objects whose own writes are visible now.
    pub(super) fn wake_those_who_waited(&mut self) {
        let now = self.now();
        let waiting: Vec<Item> = self.waiting.iter().cloned().collect();
        for item in waiting {
            if self.expectations.met(&item, &self.cut) {
                self.waiting.remove(&item);
                self.queue.add(item, Cause::Own, now);
            }
        }
    }

    /// Takes one piece of news in; says whether an object that may hold settings changed.
    fn take_in_one(&mut self, news: News) -> bool {
        let mut settings = false;
        match news {
            News::Message(message) => {
                let now = self.now();
                let kind = self.cut.kind(message.of);
                for change in self.cut.apply(message, now) {
                    settings |= S::kept_in().contains(&change.kind);
                    self.wake(&change);
                }
                let Some(kind) = kind else { return settings };
                self.parts.metrics.proved(kind.kind);
                self.count_undecodable(kind);
                if self.troubled.remove(&kind).is_some() {
                    tracing::info!(kind = kind.kind, "it can be read again");
                    self.wake_all();
                }
            }
            News::Trouble(kind, said) => {
                let known = self.troubled.insert(kind, said.clone());
                if known.as_ref() != Some(&said) {
                    tracing::warn!(kind = kind.kind, "{said}");
                    self.wake_all();
                }
            }
        }
        settings
    }

    fn count_undecodable(&mut self, kind: crate::kind::KindInfo) {
        let unreadable = self.cut.any_store(kind).map(AnyKindStore::unreadable).unwrap_or_default();
        let known = if unreadable.is_empty() { self.undecodable.remove(&kind) } else { !self.undecodable.insert(kind) };
        if known || !unreadable.is_empty() {
            self.parts.metrics.undecodable(kind.kind, unreadable.iter().map(|object| object.field.clone()));
        }
    }

    fn wake(&mut self, change: &Changed) {
        let now = self.now();
        let declarations = std::mem::take(&mut self.declarations);
        for (controller, declaration) in declarations.iter().enumerate() {
            if declaration.of.info == change.kind {
                let item = Item { controller, key: change.key.clone() };
                match &change.new {
                    None => {
                        self.parts.metrics.set(declaration.name, &item.key, Vec::new());
                        self.forget(&item);
                    }
                    Some(new) => self.own_change(item, new.resource_version(), now),
                }
            }
            for wake in declaration.wakes.iter().filter(|wake| wake.kind.info == change.kind) {
                for key in (wake.map)(change.old.as_deref(), change.new.as_deref(), &self.cut) {
                    self.queue.add(Item { controller, key }, Cause::Foreign, now);
                }
            }
        }
        self.declarations = declarations;
    }
}
