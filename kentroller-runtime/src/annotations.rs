//! The annotations, each with an example. They come from `kentroller-macros`, which tells their words and knows nothing of this
//! crate, so that it can be built and tested without it.

/// A kind with its CRD, its rules and its status:
///
/// ```
/// use kentroller_runtime::prelude::*;
/// use kentroller_runtime::spec::Duration;
///
/// #[resource(
///     group = "example.org", version = "v1", kind = "Alarm", shortname = "al", status = AlarmStatus,
///     column("In", string, ".spec.after")
/// )]
/// /// Rings after a while.
/// pub struct AlarmSpec {
///     /// How long after its creation it rings.
///     pub after: Duration,
///     /// What it says.
///     #[garde(length(chars, max = 80))]
///     pub text: Option<String>,
/// }
///
/// #[resource(status)]
/// /// What became of an alarm.
/// pub struct AlarmStatus {
///     /// What it is and is not, for machines.
///     pub conditions: Vec<Condition>,
///     /// The generation that this status judges.
///     pub observed_generation: Option<i64>,
/// }
///
/// let alarm = Alarm::new("tea", AlarmSpec { after: std::time::Duration::from_secs(240).into(), text: None });
/// assert_eq!(serde_json::to_value(&alarm)?["spec"]["after"], "4m");
/// assert_eq!(Alarm::INFO.plural, "alarms");
/// # Ok::<(), serde_json::Error>(())
/// ```
pub use kentroller_macros::resource;

/// A controller, and what it decides:
///
/// ```
/// use kentroller_runtime::prelude::*;
/// # mod settings { #[derive(Debug)] pub struct Settings; impl kentroller_runtime::Switches for Settings {} }
/// # #[resource(foreign, group = "", version = "v1", kind = "Node", plural = "nodes")]
/// # pub struct Node { pub metadata: Meta }
///
/// /// Marks nodes that are a day old.
/// #[controller(of = Node, writes(Node: patch), events(Aged = "A node became a day old."))]
/// pub struct Ages;
///
/// impl Reconcile for Ages {
///     fn reconcile(node: &Node, world: &World<Self>) -> Result<Outcome<Self>, Failure> {
///         let mut out = world.outcome(node);
///         let day = node.created() + std::time::Duration::from_secs(24 * 60 * 60);
///         match world.now() >= day {
///             true => drop(out.label(node, "example.org/aged", "yes").says(Self::Aged, "it is a day old")),
///             false => out.look_at(day),
///         }
///         Ok(out)
///     }
/// }
///
/// # fn main() {
/// assert_eq!(Ages::declaration().name, "ages");
/// # }
/// ```
pub use kentroller_macros::controller;

/// The conditions of a kind: `out.condition(LampCondition::Lit, …)`:
///
/// ```
/// use kentroller_runtime::{Conditions, ConditionType};
///
/// #[derive(Clone, Copy, Conditions)]
/// pub enum LampCondition {
///     /// It gives light.
///     Lit,
/// }
///
/// assert_eq!(LampCondition::Lit.as_str(), "Lit");
/// ```
pub use kentroller_macros::Conditions;

/// Settings, with their defaults and ranges:
///
/// ```
/// use std::time::Duration;
///
/// use kentroller_runtime::settings::Settings as _;
///
/// #[derive(Clone, Debug, PartialEq, kentroller_runtime::Settings)]
/// pub struct Settings {
///     /// How often it looks.
///     #[setting(env = "PERIOD", default = "30s", range("1s", "1h"))]
///     pub period: Duration,
/// }
///
/// let settings = Settings::from_env(&|name| (name == "PERIOD").then(|| "1m".to_owned())).expect("it is right");
/// assert_eq!(settings.period, Duration::from_secs(60));
/// let wrong = Settings::from_env(&|_| Some("2h".to_owned())).expect_err("too long");
/// assert_eq!(wrong[0].to_string(), "PERIOD is `2h`; a duration such as 30s or 1h30m from 1s to 1h is expected");
/// ```
pub use kentroller_macros::Settings;
