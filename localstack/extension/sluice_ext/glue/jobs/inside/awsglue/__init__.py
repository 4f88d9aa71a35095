"""What scripts import as ``awsglue``: a module of this project with the names of AWS's library.

https://docs.aws.amazon.com/glue/latest/dg/aws-glue-programming-python.html
"""
