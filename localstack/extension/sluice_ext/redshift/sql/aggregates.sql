-- Aggregates whose type differs: SUM of BIGINT is BIGINT, AVG of whole numbers a whole number.
-- https://docs.aws.amazon.com/redshift/latest/dg/r_SUM.html https://docs.aws.amazon.com/redshift/latest/dg/r_AVG.html
CREATE OR REPLACE FUNCTION avg_of_whole(state bigint[]) RETURNS bigint IMMUTABLE STRICT LANGUAGE sql RETURN
    state[2] / nullif(state[1], 0);
CREATE OR REPLACE FUNCTION avg_step(state numeric[], value bigint) RETURNS numeric[] IMMUTABLE STRICT LANGUAGE sql
    RETURN ARRAY[state[1] + 1, state[2] + value];
CREATE OR REPLACE FUNCTION avg_of_large(state numeric[]) RETURNS bigint IMMUTABLE STRICT LANGUAGE sql RETURN
    pg_catalog.div(state[2], nullif(state[1], 0))::bigint;

CREATE OR REPLACE AGGREGATE sum(smallint) (SFUNC = int2_sum, STYPE = bigint);
CREATE OR REPLACE AGGREGATE sum(integer) (SFUNC = int4_sum, STYPE = bigint);
CREATE OR REPLACE AGGREGATE sum(bigint) (SFUNC = int8pl, STYPE = bigint);
CREATE OR REPLACE AGGREGATE sum(numeric) (SFUNC = numeric_add, STYPE = numeric);
CREATE OR REPLACE AGGREGATE sum(double precision) (SFUNC = float8pl, STYPE = double precision);
CREATE OR REPLACE AGGREGATE sum(interval) (SFUNC = interval_pl, STYPE = interval);
CREATE OR REPLACE AGGREGATE avg(smallint)
    (SFUNC = int2_avg_accum, STYPE = bigint[], FINALFUNC = avg_of_whole, INITCOND = '{0,0}');
CREATE OR REPLACE AGGREGATE avg(integer)
    (SFUNC = int4_avg_accum, STYPE = bigint[], FINALFUNC = avg_of_whole, INITCOND = '{0,0}');
CREATE OR REPLACE AGGREGATE avg(bigint)
    (SFUNC = avg_step, STYPE = numeric[], FINALFUNC = avg_of_large, INITCOND = '{0,0}');
CREATE OR REPLACE AGGREGATE avg(numeric) (SFUNC = numeric_avg_accum, STYPE = internal, FINALFUNC = numeric_avg);
CREATE OR REPLACE AGGREGATE avg(double precision)
    (SFUNC = float8_accum, STYPE = double precision[], FINALFUNC = float8_avg, INITCOND = '{0,0,0}');
