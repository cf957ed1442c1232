//! The answers beside the recorded verdicts, line by line.

use super::post::Answer;
use super::record::{self, Again, Expected, Refused};

/// A sentence per line that was not answered as it must be.
pub fn differences(answers: &[Answer]) -> anyhow::Result<Vec<String>> {
    let expected = record::expected()?;
    Ok(compare(answers, &expected))
}

fn compare(answers: &[Answer], expected: &Expected) -> Vec<String> {
    let mut all = Vec::new();
    if answers.len() != expected.lines {
        all.push(format!("{} reports were posted, {} are recorded", answers.len(), expected.lines));
    }
    let at = |line: usize| answers.get(line.wrapping_sub(1));
    for line in &expected.accepted_lines {
        all.extend(at(*line).and_then(|a| accepted(*line, a)));
    }
    for again in [&expected.redelivered, &expected.same_payment, &expected.outcome_updates].into_iter().flatten() {
        all.extend(at(again.line).zip(at(again.of_line)).and_then(|(a, first)| repeated(again, a, first)));
    }
    for (status, lines) in [(409, &expected.conflicts_409), (422, &expected.rejects_422)] {
        all.extend(lines.iter().filter_map(|line| refused(line, status, at(line.line)?)));
    }
    all
}

fn accepted(line: usize, answer: &Answer) -> Option<String> {
    let body = &answer.body;
    let is_right = answer.status == 202 && body["duplicate"] == false && body["settlement_id"].is_string() && body["job_id"].is_string();
    (!is_right).then(|| format!("line {line}: expected 202 with a new settlement, got {}", said(answer)))
}

fn repeated(again: &Again, answer: &Answer, first: &Answer) -> Option<String> {
    let same = answer.body["settlement_id"] == first.body["settlement_id"];
    let is_right = answer.status == 200 && answer.body["duplicate"] == true && same;
    (!is_right).then(|| format!("line {}: expected 200 with the settlement of line {}, got {}", again.line, again.of_line, said(answer)))
}

fn refused(line: &Refused, status: u16, answer: &Answer) -> Option<String> {
    let names_the_rule = answer.body["type"].as_str().is_some_and(|t| t.ends_with(&format!(":{}", line.reason)));
    let is_right = answer.status == status && names_the_rule;
    (!is_right).then(|| format!("line {}: expected {status} {}, got {}", line.line, line.reason, said(answer)))
}

fn said(answer: &Answer) -> String {
    format!("{} {}", answer.status, answer.body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn expected() -> Expected {
        let text = json!({
            "lines": 4, "accepted_lines": [1], "redelivered": [{"line": 2, "of_line": 1}], "same_payment": [], "outcome_updates": [],
            "conflicts_409": [{"line": 3, "reason": "value_differs"}], "rejects_422": [{"line": 4, "reason": "invalid_amount"}],
        });
        serde_json::from_value(text).unwrap()
    }

    fn right() -> Vec<Answer> {
        let bodies = [
            (202, json!({"settlement_id": "stl_1", "job_id": "job_1", "duplicate": false})),
            (200, json!({"settlement_id": "stl_1", "job_id": "job_1", "duplicate": true})),
            (409, json!({"type": "urn:clawr:problem:value_differs"})),
            (422, json!({"type": "urn:clawr:problem:invalid_amount"})),
        ];
        bodies.map(|(status, body)| Answer { status, body }).into()
    }

    #[test]
    fn the_right_answers_differ_in_nothing() {
        assert_eq!(compare(&right(), &expected()), Vec::<String>::new());
    }

    #[test]
    fn every_wrong_answer_is_named() {
        for (line, change) in [(0, json!({"duplicate": true})), (1, json!({"settlement_id": "stl_2"})), (2, json!({"type": "x"}))] {
            let mut answers = right();
            for (name, value) in change.as_object().unwrap() {
                answers[line].body[name] = value.clone();
            }
            let found = compare(&answers, &expected());
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(found[0].starts_with(&format!("line {}: ", line + 1)), "{found:?}");
        }
        assert!(compare(&right()[..3], &expected())[0].starts_with("3 reports"));
    }

    #[test]
    fn the_recording_is_whole() {
        let expected = record::expected().unwrap();
        assert_eq!(record::events().len(), expected.lines);
        let again = expected.redelivered.len() + expected.same_payment.len() + expected.outcome_updates.len();
        let all = expected.accepted_lines.len() + again + expected.conflicts_409.len() + expected.rejects_422.len();
        assert_eq!(all, expected.lines);
        assert_eq!(record::given().unwrap().tenants.len(), 3);
    }
}
