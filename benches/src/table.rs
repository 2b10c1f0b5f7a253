//! Tables that can be read in a terminal and pasted into a document.

/// A table, row by row.
#[derive(Debug)]
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these columns.
    pub fn new(columns: &[&str]) -> Table {
        Table { rows: vec![columns.iter().map(ToString::to_string).collect()] }
    }

    /// Adds a row, a cell for each column.
    pub fn row(&mut self, cells: &[&dyn std::fmt::Display]) {
        debug_assert_eq!(cells.len(), self.rows[0].len());
        self.rows.push(cells.iter().map(ToString::to_string).collect());
    }

    /// Prints it.
    pub fn print(&self) {
        let widths = (0..self.rows[0].len()).map(|column| {
            let cells = self.rows.iter().map(|row| row[column].chars().count());
            cells.max().unwrap_or_default()
        });
        let widths: Vec<usize> = widths.collect();
        print_row(&self.rows[0], &widths);
        print_row(&widths.iter().map(|width| "-".repeat(*width)).collect::<Vec<String>>(), &widths);
        for row in &self.rows[1..] {
            print_row(row, &widths);
        }
    }
}

fn print_row(cells: &[String], widths: &[usize]) {
    print!("|");
    for (cell, width) in cells.iter().zip(widths) {
        print!(" {cell:<width$} |");
    }
    println!();
}
