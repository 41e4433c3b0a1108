//! Tables and lists of facts.
//!
//! No lines are drawn: columns line up, a row is a line wherever there is room, and so `grep` and
//! `awk` work on what a person reads.

use comfy_table::{
    Attribute, Cell as InnerCell, CellAlignment, Color, ColumnConstraint, ContentArrangement,
};

use super::{Look, Tone, words};

/// One cell.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cell {
    text: String,
    tone: Tone,
    right: bool,
}

impl Cell {
    /// In a tone.
    pub(crate) fn toned(text: impl Into<String>, tone: Tone) -> Self {
        Self {
            text: text.into(),
            tone,
            right: false,
        }
    }

    /// A number: at the right edge of its column.
    pub(crate) fn number(text: impl Into<String>) -> Self {
        Self::toned(text, Tone::Plain).right()
    }

    /// At the right edge of its column.
    pub(crate) fn right(self) -> Self {
        Self {
            right: true,
            ..self
        }
    }

    /// A name or `–`.
    pub(crate) fn or_none<T: ToString>(value: Option<T>) -> Self {
        match value {
            Some(value) => value.to_string().into(),
            None => Self::toned("–", Tone::Quiet),
        }
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::toned(text, Tone::Plain)
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

/// A table.
#[derive(Debug)]
pub(crate) struct Table {
    inner: comfy_table::Table,
    look: Look,
}

impl Table {
    /// A table with these headings.
    pub(crate) fn new(look: Look, headings: &[&str]) -> Self {
        let mut inner = comfy_table::Table::new();
        inner.load_style(comfy_table::presets::NOTHING);
        let heading = |text: &&str| {
            let cell = InnerCell::new(text);
            if look.colour {
                cell.add_attribute(Attribute::Dim)
            } else {
                cell
            }
        };
        inner.set_header(headings.iter().map(heading).collect::<Vec<_>>());
        if look.terminal {
            inner.set_content_arrangement(ContentArrangement::Dynamic);
        } else {
            inner.force_no_tty();
        }
        Self { inner, look }
    }

    /// One row.
    pub(crate) fn row<const N: usize>(&mut self, cells: [Cell; N]) {
        let colour = self.look.colour;
        let cells = cells.into_iter().map(|cell| {
            let mut inner = InnerCell::new(words::clean(&cell.text));
            if cell.right {
                inner = inner.set_alignment(CellAlignment::Right);
            }
            match cell.tone {
                _ if !colour => inner,
                Tone::Plain => inner,
                Tone::Good => inner.fg(Color::DarkGreen),
                Tone::Busy => inner.fg(Color::DarkYellow),
                Tone::Bad => inner.fg(Color::DarkRed),
                Tone::Quiet => inner.add_attribute(Attribute::Dim),
                Tone::Strong => inner.add_attribute(Attribute::Bold),
            }
        });
        self.inner.add_row(cells.collect::<Vec<_>>());
    }

    /// The table as text.
    pub(crate) fn text(mut self) -> String {
        self.keep_short_columns_whole();
        for column in self.inner.column_iter_mut() {
            column.set_padding((0, PADDING));
        }
        let lines = self.inner.lines().map(|line| line.trim_end().to_owned());
        lines.collect::<Vec<_>>().join("\n") + "\n"
    }
}

/// Space after each column, in characters.
const PADDING: u16 = 2;

/// A column this wide or less holds names and numbers, not sentences, in characters.
const SHORT: u16 = 20;

/// What a column of sentences needs to be read at all, in characters.
const READABLE: u16 = 12;

impl Table {
    /// Where the terminal is too narrow, sentences wrap before names and numbers do.
    fn keep_short_columns_whole(&mut self) {
        let Some(room) = self.inner.width() else {
            return;
        };
        let widths = self.inner.column_max_content_widths();
        let least = |width: &u16| (if *width <= SHORT { *width } else { READABLE }) + PADDING;
        if widths
            .iter()
            .map(|width| u32::from(least(width)))
            .sum::<u32>()
            > room.into()
        {
            return;
        }
        for (column, width) in self.inner.column_iter_mut().zip(widths) {
            if width <= SHORT {
                column.set_constraint(ColumnConstraint::ContentWidth);
            }
        }
    }
}

/// Names and values, one a line.
#[derive(Debug)]
pub(crate) struct Facts {
    look: Look,
    facts: Vec<(&'static str, String)>,
}

impl Facts {
    pub(crate) fn new(look: Look) -> Self {
        Self {
            look,
            facts: Vec::new(),
        }
    }

    /// Adds a fact.
    pub(crate) fn fact(&mut self, name: &'static str, value: impl AsRef<str>) {
        self.facts.push((name, words::one_line(value.as_ref())));
    }

    /// Adds a fact in a tone.
    pub(crate) fn toned(&mut self, name: &'static str, value: &str, tone: Tone) {
        let value = words::one_line(value);
        self.facts.push((name, tone.paint(&value, self.look)));
    }

    /// The facts as text, each line indented by two.
    pub(crate) fn text(&self) -> String {
        let names = self.facts.iter().map(|(name, _)| name.len());
        let width = names.max().unwrap_or(0);
        let mut text = String::new();
        for (name, value) in &self.facts {
            let name = Tone::Quiet.paint(&format!("{name:width$}"), self.look);
            let line = format!("  {name}  {value}");
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_nothing_trails() {
        let mut table = Table::new(Look::PLAIN, &["NAME", "SIZE", "NOTE"]);
        table.row(["a".into(), Cell::number("1.0 KiB"), "".into()]);
        table.row([
            "long-name".into(),
            Cell::number("10 B"),
            "x\u{1b}[31m".into(),
        ]);
        insta::assert_snapshot!(table.text(), @r"
        NAME       SIZE     NOTE
        a          1.0 KiB
        long-name     10 B  x\u{1b}[31m
        ");
        let mut facts = Facts::new(Look::PLAIN);
        facts.fact("site", "harbour");
        facts.fact("longer", "two\nlines");
        assert_eq!(facts.text(), "  site    harbour\n  longer  two lines\n");
    }
}
