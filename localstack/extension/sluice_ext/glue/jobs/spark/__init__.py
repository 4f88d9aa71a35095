"""What a Spark job needs beside its Python: Java, the file system s3://, and Spark's configuration."""
