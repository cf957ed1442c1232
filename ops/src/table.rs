//! Small tables: rows of text under a heading, aligned by display width, or tab-separated for a pipe.

use serde_json::Value as Json;

/// Rows of cells under column names.
#[derive(Clone, Debug, Default)]
pub struct Table {
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// No rows yet.
    pub fn new<const N: usize>(head: [&str; N]) -> Self {
        Self { head: head.map(str::to_owned).into(), rows: Vec::new() }
    }

    /// Adds a row.
    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.into());
    }

    /// One row per item, one column per field; a field may be a path (`errors.0.error`).
    pub fn of<const N: usize>(items: &[Json], fields: [&str; N]) -> Self {
        let mut table = Self::new(fields);
        for item in items {
            table.row(fields.map(|field| cell(find(item, field))));
        }
        table
    }

    /// The items of a list answer.
    pub fn of_list<const N: usize>(list: &Json, fields: [&str; N]) -> Self {
        Self::of(list["items"].as_array().map(Vec::as_slice).unwrap_or_default(), fields)
    }

    /// An object as field and value.
    pub fn of_object(object: &Json) -> Self {
        let mut table = Self::new(["field", "value"]);
        for (name, value) in object.as_object().into_iter().flatten() {
            table.row([name.clone(), cell(value)]);
        }
        table
    }

    /// For people: columns padded, the heading dimmed where colours are wanted.
    pub fn aligned(&self, colour: bool) -> String {
        if self.rows.is_empty() {
            return "(none)\n".to_owned();
        }
        let widths = self.widths();
        let heading = self.head.iter().map(|h| h.to_uppercase()).collect::<Vec<_>>();
        let heading = pad(&heading, &widths);
        let mut text = if colour { format!("\x1b[2m{heading}\x1b[0m\n") } else { format!("{heading}\n") };
        for row in &self.rows {
            text.push_str(&pad(row, &widths));
            text.push('\n');
        }
        text
    }

    /// For pipes: one line per row, cells separated by tabs, no heading.
    pub fn tabbed(&self) -> String {
        self.rows.iter().map(|row| row.join("\t") + "\n").collect()
    }

    fn widths(&self) -> Vec<usize> {
        let width = |column: usize| self.rows.iter().chain([&self.head]).map(|row| row[column].chars().count()).max().unwrap_or(0);
        (0..self.head.len()).map(width).collect()
    }
}

fn pad(cells: &[String], widths: &[usize]) -> String {
    let padded: Vec<String> = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
    padded.join("  ").trim_end().to_owned()
}

fn find<'j>(item: &'j Json, path: &str) -> &'j Json {
    path.split('.').fold(item, |at, step| match step.parse::<usize>() {
        Ok(index) => &at[index],
        Err(_) => &at[step],
    })
}

/// One line whatever is inside: what others wrote must not move the cursor or start a new row.
fn cell(value: &Json) -> String {
    let text = match value {
        Json::Null => String::new(),
        Json::String(text) => text.clone(),
        other => other.to_string(),
    };
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let items = [json!({"id": "job_1", "kind": "email"}), json!({"id": "job_20", "kind": "wake"})];
        let text = Table::of(&items, ["id", "kind"]).aligned(false);
        assert_eq!(text, "ID      KIND\njob_1   email\njob_20  wake\n");
    }

    #[test]
    fn a_pipe_gets_tabs_and_no_heading() {
        let list = json!({"items": [{"id": "a", "n": 3, "gone": null}], "next": null});
        assert_eq!(Table::of_list(&list, ["id", "n", "gone"]).tabbed(), "a\t3\t\n");
    }

    #[test]
    fn nothing_in_a_cell_can_leave_it() {
        let items = [json!({"error": "one\ntwo\u{1b}[31m"})];
        assert_eq!(Table::of(&items, ["error"]).tabbed(), "one two [31m\n");
    }

    #[test]
    fn an_empty_table_says_so() {
        assert_eq!(Table::new(["id"]).aligned(true), "(none)\n");
        assert_eq!(Table::new(["id"]).tabbed(), "");
    }

    #[test]
    fn fields_may_be_paths() {
        let items = [json!({"errors": [{"error": "boom"}]})];
        assert_eq!(Table::of(&items, ["errors.0.error"]).tabbed(), "boom\n");
    }
}
