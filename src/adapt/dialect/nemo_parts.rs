//! What the recipes of NeMo Automodel are made of: components that are named by their path, and how they are read.

use super::plain;
use crate::adapt::reader::Run;
use crate::adapt::said::{Said, one};
use crate::adapt::table::Row;
use crate::facts::Origin;
use crate::quantity::Category;

/// What a default of the framework is called.
pub(super) const DEFAULT: &str = "NeMo Automodel's default";

/// The last part of a dotted path.
pub(super) fn last_part(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

/// The text of a component: the key itself, or its `_target_`.
pub(super) fn component(run: &mut Run<'_>, key: &str) -> Said<String> {
    let is_mapping = run.entry(key).is_some_and(|entry| entry.value.map().is_some());
    if is_mapping {
        run.text(&format!("{key}._target_"))
    } else {
        run.text(key)
    }
}

/// The class of the recipe, without its path.
pub(super) fn class(run: &mut Run<'_>) -> Option<String> {
    let path = component(run, "recipe");
    path.given().map(|path| last_part(path).to_owned())
}

/// A number of which the recipe has no default; `null` is as good as nothing.
pub(super) fn needed(run: &mut Run<'_>, row: &Row) {
    let why = format!("`{}` is not written, and there is no default for it", row.key);
    plain::or_else(run, &row.or_null(), None, &why);
}

/// The optimizer, its rate and its decay.
pub(super) fn optimizer(run: &mut Run<'_>) {
    const CLASS: &str = "optimizer._target_";
    let class = run.text(CLASS);
    if class == Said::Nothing {
        plain::missing(run, CLASS);
    }
    plain::optimizer(run, (CLASS, class), "optimizer.lr", "optimizer.weight_decay");
    // Fused kernels decouple the decay unless they are told not to.
    if let Said::Value(false, place) = run.switch("optimizer.adam_w_mode") {
        run.tell(Category::Optimizer, CLASS, one(Some("adam")), Origin::Given(place));
    }
}
