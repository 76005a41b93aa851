//! The keys of `[analysis]`.

use super::{Form, PRIORITY, Rule, Section, key};
use contract::Kind;

pub(in crate::config) const ANALYSIS: Section = Section {
    name: "analysis",
    form: Form::Single,
    doc: "Learning, limits and budgets of the analysis. Rate, window and leads are the model's and stand in its card.",
    fields: &[
        key(
            "learn_s",
            Kind::Integer,
            "900",
            Rule::Between(10.0, 3_600.0),
            "Good signal needed before the first verdict, in seconds.",
        ),
        key(
            "score_on",
            Kind::Number,
            "1.6",
            Rule::Between(0.1, 20.0),
            "A second counts as over from this score on (docs/method.md, Live use).",
        ),
        key(
            "score_off",
            Kind::Number,
            "1.2",
            Rule::Between(0.1, 20.0),
            "A second counts as under below this score; lower than score_on, so that a condition does not flap.",
        ),
        key(
            "score_strong",
            Kind::Number,
            "2.2",
            Rule::Between(0.1, 20.0),
            "A second counts as strong (level alert) from this score on.",
        ),
        key(
            "over_s",
            Kind::Integer,
            "8",
            Rule::Between(1.0, 64.0),
            "Seconds over the limit, of the last of_s, that begin a condition.",
        ),
        key("of_s", Kind::Integer, "12", Rule::Between(1.0, 64.0), "Seconds looked at."),
        key(
            "clear_s",
            Kind::Integer,
            "20",
            Rule::Between(1.0, 3_600.0),
            "Seconds without one over score_off that end a condition.",
        ),
        key(
            "refractory_s",
            Kind::Integer,
            "300",
            Rule::Between(0.0, 86_400.0),
            "Seconds after the end before the same condition may begin again.",
        ),
        key(
            "per_hour",
            Kind::Integer,
            "2",
            Rule::Between(0.0, 60.0),
            "Advisories a bed may raise within an hour; what is beyond is listed on the screen and not delivered.",
        ),
        key("per_day", Kind::Integer, "6", Rule::Between(0.0, 1_440.0), "The same within a day."),
        key(
            "latching",
            Kind::Flag,
            "false",
            Rule::Any,
            "An advisory whose condition is over stays until somebody has acknowledged it.",
        ),
        key(
            "signal_on_s",
            Kind::Integer,
            "4",
            Rule::Between(1.0, 60.0),
            "Seconds of unusable signal before WB-SIG.",
        ),
        key(
            "signal_off_s",
            Kind::Integer,
            "5",
            Rule::Between(1.0, 60.0),
            "Seconds of good signal before WB-SIG ends.",
        ),
        key(
            "priority",
            Kind::Text,
            "\"low\"",
            PRIORITY,
            "Priority of advisories on the wire. There is no high: it belongs to the bedside monitors.",
        ),
        key("priority_strong", Kind::Text, "\"low\"", PRIORITY, "Priority of an advisory at level alert."),
        key("priority_technical", Kind::Text, "\"low\"", PRIORITY, "Priority of technical alerts."),
    ],
    sample: "",
};
