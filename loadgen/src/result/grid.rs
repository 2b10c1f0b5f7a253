//! Text in columns, as every table on a terminal is set. What stands in them is decided elsewhere.

/// Rows of cells. The first row is the heading if there is one; columns are as wide as their widest cell.
#[derive(Debug, Default)]
pub struct Grid {
    rows: Vec<Vec<String>>,
}

impl Grid {
    /// Adds a row.
    pub fn row<C: Into<String>>(&mut self, cells: impl IntoIterator<Item = C>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }

    /// The rows as lines, with two blanks between columns and `indent` before the first. Text stands left and numbers, that is
    /// every column but the first, right if `numbers` says so. No line ends in blanks.
    pub fn write(&self, indent: usize, numbers: bool) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut text = String::new();
        for row in &self.rows {
            let mut line = " ".repeat(indent);
            for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
                let gap = " ".repeat(width - cell.chars().count());
                let blanks = if column == 0 { "" } else { "  " };
                let right = numbers && column > 0;
                line.extend(if right { [blanks, &gap, cell] } else { [blanks, cell, &gap] });
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

/// What a peer or a file says, fit for a terminal: on one line, without control characters (they could move the cursor or
/// change colours), and not longer than [`TEXT_CHARS_MAX`].
pub fn plain(text: &str) -> String {
    let mut characters = text.trim().chars();
    let line: String = characters
        .by_ref()
        .take(TEXT_CHARS_MAX)
        .map(|c| {
            if c.is_whitespace() {
                ' '
            } else if c.is_control() {
                '\u{fffd}'
            } else {
                c
            }
        })
        .collect();
    if characters.next().is_some() { line + "…" } else { line }
}

/// Three lines of a terminal.
const TEXT_CHARS_MAX: usize = 240;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut grid = Grid::default();
        grid.row(["point", "rate", "p99"]);
        grid.row(["clients=16", "1 K/s", "70 µs"]);
        grid.row(["c", "–"]);
        assert_eq!(grid.write(0, true), "point        rate    p99\nclients=16  1 K/s  70 µs\nc               –\n");
        assert_eq!(grid.write(2, false), "  point       rate   p99\n  clients=16  1 K/s  70 µs\n  c           –\n");
    }

    #[test]
    fn what_a_peer_says_cannot_move_the_cursor() {
        assert_eq!(plain(" busy\n\tnow \u{1b}[2J\u{9b}1A "), "busy  now \u{fffd}[2J\u{fffd}1A");
        let long = plain(&"x".repeat(10_000));
        assert_eq!(long, "x".repeat(240) + "…");
    }
}
