//! The engine's keywords and functions, for completion and for near names. Those that questions to a corpus use, not all.

/// Keywords, in the order of a statement.
pub(crate) const KEYWORDS: [&str; 46] = [
    "select", "distinct", "from", "where", "group by", "having", "order by", "limit", "offset", "join", "left join", "inner join", "full join",
    "cross join", "semi join", "anti join", "on", "using", "as", "and", "or", "not", "in", "is null", "is not null", "between", "like",
    "ilike", "case", "when", "then", "else", "end", "asc", "desc", "nulls last", "union all", "union", "except", "intersect", "with",
    "values", "explain", "describe", "show tables", "over",
];

/// Functions.
pub(crate) const FUNCTIONS: [&str; 62] = [
    "abs", "array_contains", "array_get", "array_length", "array_max", "array_mean", "array_min", "array_sum", "array_to_string", "avg", "cast",
    "ceil", "coalesce", "concat", "concat_ws", "corr", "count", "date_part", "ends_with", "exp", "extract", "first", "floor", "greatest", "if",
    "ifnull", "initcap", "last", "least", "left", "length", "ln", "log10", "log2", "lower", "ltrim", "max", "median", "min", "mod", "nullif",
    "octet_length", "pow", "quantile_cont", "regexp_like", "replace", "reverse", "right", "round", "row_number", "rtrim", "sign", "split_part",
    "sqrt", "starts_with", "stddev", "string_to_array", "strpos", "substr", "sum", "unnest", "upper",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Lake;

    #[test]
    fn the_engine_knows_every_function() {
        let lake = Lake::open(None, None).expect("nothing to open");
        for function in FUNCTIONS {
            let error = lake.query(&format!("select {function}() from pairs")).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(!error.contains("unsupported function") && !error.contains("not supported"), "{function}: {error}");
        }
        assert!(lake.query("select nonsense() from pairs").is_err());
    }
}
