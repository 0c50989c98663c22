//! Why a reconcile of ours could not decide. Each reason has its class: what the engine does next; and the page of all
//! failures.

use kentroller_runtime::generate::reference::{ends, refused_writes, table};
use kentroller_runtime::{Class, ENGINE_FAILURES, FailureInfo};

use super::FailureReason;

macro_rules! failures {
    ($($(#[doc = $doc:literal])+ $name:ident = $class:ident $reason:literal;)+) => {
        $($(#[doc = $doc])+ pub const $name: FailureInfo =
            FailureInfo { class: Class::$class, reason: $reason, doc: concat!($($doc),+) };)+
        /// All of them.
        pub const ALL: &[FailureInfo] = &[$($name),+];
    };
}

failures! {
    /// Another version wrote `status.state`; it is left alone.
    STATE_UNKNOWN = Terminal "StateUnknown";
    /// An object of the cluster cannot be understood; the message names it with its field.
    INPUT_INVALID = Waiting "InputInvalid";
    /// A plan could not be written as a RebalancePlan, because the cluster changed meanwhile.
    PLAN_INVALID = Transient "PlanInvalid";
    /// The ConfigMap of prices is not there, or has no key catalog.csv.
    PRICES_MISSING = Waiting "PricesMissing";
    /// The prices cannot be read; the message names line and field.
    PRICES_INVALID = Waiting "PricesInvalid";
    /// The prices are older than PRICES_MAX_AGE; the message tells how old, and why nothing newer is there.
    PRICES_TOO_OLD = Waiting "PricesTooOld";
    /// There is no connection with the backend that makes the plans, or it has not answered in time; the message tells what the last try
    /// ended with.
    BACKEND_AWAY = Waiting "BackendAway";
    /// The backend makes no plan; the message has its reason.
    BACKEND_REFUSES = Waiting "BackendRefuses";
    /// What the backend answered is not a plan that may be carried out; the message names the first rules that it breaks.
    BACKEND_PLAN_INVALID = Waiting "BackendPlanInvalid";
}

/// The reference page.
pub fn page() -> String {
    let mut page = String::from(
        "# Failures\n\n`status.failureReason` of claims and plans. The message beside it names what was waited for, or both numbers. \
         What to do is the same for both kinds.\n\n",
    );
    ends(&mut page, FailureReason::MEANINGS);
    page.push_str(
        "\nThe reasons of skipped claims are under [troubleshooting](../troubleshooting.md).\n\n## When no decision could be made\n\n\
         Then `Ready` is False with one of these reasons. *transient*: it is tried again with a growing pause. \
         *waiting*: `Stalled` is True, and it is looked at again every 30 s. *terminal*: `Stalled` is True until the object changes. \
         What to do: [troubleshooting](../troubleshooting.md).\n\n",
    );
    let rows = ALL
        .iter()
        .chain(ENGINE_FAILURES)
        .map(|info| [format!("`{}`", info.reason), info.class.as_str().to_owned(), info.doc.to_owned()]);
    table(&mut page, ["reason", "class", "meaning"], rows);
    page.push_str(
        "\n## Refused writes\n\nThe note of an event ends with why a write was refused. The words of the API server stand as they are. \
         The engine's own:\n\n",
    );
    refused_writes(&mut page);
    page
}
