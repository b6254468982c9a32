//! The catalogue's tables as data frames, for questions that join them with Parquet.

use crate::{Catalogue, Error};
use polars::prelude::*;
use std::path::Path;

/// A column's type here. Counts stay signed, so that differences can be negative.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    Int,
    /// The type of query ids in Parquet: the engine joins only equal types.
    QueryId,
}

/// One table of the catalogue: its statement file and the columns that this gives.
pub(crate) struct CatalogueTable {
    statement: &'static str,
    columns: &'static [(&'static str, Kind)],
}

macro_rules! catalogue_table {
    ($const:ident, $name:literal, [$(($column:literal, $kind:ident)),*]) => {
        pub(crate) const $const: CatalogueTable = CatalogueTable {
            statement: include_str!(concat!("../tables/", $name, ".sql")),
            columns: &[$(($column, Kind::$kind)),*],
        };
    };
}
catalogue_table!(PROPERTIES, "properties", [("key", Text), ("value", Text)]);
catalogue_table!(SOURCES, "sources", [("id", Int), ("kind", Text), ("location", Text), ("state", Text)]);
catalogue_table!(JOBS, "jobs", [("id", Int), ("source", Int), ("kind", Text), ("payload", Text), ("state", Text)]);
catalogue_table!(
    PAGES,
    "pages",
    [("id", Int), ("source", Int), ("url", Text), ("host", Text), ("depth", Int), ("state", Text), ("job", Int), ("outcome", Text)]
);
catalogue_table!(SEGMENTS, "segments", [("id", Int), ("candidates", Int), ("pairs", Int), ("bytes", Int), ("time_ms", Int)]);
catalogue_table!(COUNTERS, "counters", [("query_id", QueryId), ("seen", Int)]);
catalogue_table!(
    HOSTS,
    "hosts",
    [("host", Text), ("requests", Int), ("successes", Int), ("refused", Int), ("bytes", Int), ("millis", Int)]
);
catalogue_table!(OUTCOMES, "outcomes", [("outcome", Text), ("count", Int)]);

/// A column in the making; text is copied once, into the column itself.
enum Builder {
    Text(StringChunkedBuilder),
    Int(PrimitiveChunkedBuilder<Int64Type>),
}

impl Builder {
    fn new(name: &str, kind: Kind) -> Self {
        match kind {
            Kind::Text => Builder::Text(StringChunkedBuilder::new(name.into(), 0)),
            Kind::Int | Kind::QueryId => Builder::Int(PrimitiveChunkedBuilder::new(name.into(), 0)),
        }
    }

    fn push(&mut self, row: &rusqlite::Row, column: usize) -> rusqlite::Result<()> {
        match self {
            Builder::Text(builder) => builder.append_option(row.get_ref(column)?.as_str_or_null()?),
            Builder::Int(builder) => builder.append_option(row.get(column)?),
        }
        Ok(())
    }

    fn column(self, kind: Kind) -> PolarsResult<Column> {
        match (self, kind) {
            (Builder::Text(builder), _) => Ok(builder.finish().into_column()),
            (Builder::Int(builder), Kind::QueryId) => builder.finish().into_column().strict_cast(&DataType::UInt32),
            (Builder::Int(builder), _) => Ok(builder.finish().into_column()),
        }
    }
}

/// Reads a table of the catalogue whole; without a catalogue it has no rows.
pub(crate) fn load(name: &'static str, table: &CatalogueTable, catalogue: Option<&Catalogue>, path: &Path) -> Result<DataFrame, Error> {
    let mut builders: Vec<Builder> = table.columns.iter().map(|(name, kind)| Builder::new(name, *kind)).collect();
    if let Some(catalogue) = catalogue {
        catalogue.read("read a table", table.statement, [], |row| {
            builders.iter_mut().enumerate().try_for_each(|(column, builder)| builder.push(row, column))
        })?;
    }
    let columns = builders.into_iter().zip(table.columns).map(|(builder, (_, kind))| builder.column(*kind));
    let frame = columns.collect::<PolarsResult<Vec<Column>>>().and_then(DataFrame::new_infer_height);
    frame.map_err(|source| Error::Table { table: name, path: path.to_path_buf(), source })
}
