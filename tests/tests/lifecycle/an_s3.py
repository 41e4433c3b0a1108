"""An S3 with two buckets, by moto, until standard input ends.

    an_s3.py signed     checks signatures and what keys may do
    an_s3.py public     checks neither, but keeps what is not public from whoever signs nothing

It prints a line of JSON once it listens on a free port of loopback: where, and a key that may read all buckets but `vault`.
"""

import json
import sys
import urllib.request

import boto3
from moto.server import ThreadedMotoServer

CSV = b"x,y\n3,no\n4,yes\n5,yes\n"

server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
url = "http://{}:{}".format(*server.get_host_and_port())


def client(service):
    return boto3.client(
        service,
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="before-anybody-is-checked",
        aws_secret_access_key="before-anybody-is-checked",
    )


s3, iam = client("s3"), client("iam")
for bucket in ["lake", "vault"]:
    s3.create_bucket(Bucket=bucket)
# A name that has to be written otherwise in a request, and signed as it is written there.
s3.put_object(Bucket="lake", Key="2026/öl a+b.csv", Body=CSV)
s3.put_object(Bucket="lake", Key="open.csv", Body=CSV, ACL="public-read")
s3.put_object(Bucket="vault", Key="a.csv", Body=CSV)

iam.create_user(UserName="hub")
rules = [
    {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::*"},
    {"Effect": "Deny", "Action": "s3:*", "Resource": "arn:aws:s3:::vault/*"},
]
policy = json.dumps({"Version": "2012-10-17", "Statement": rules})
iam.put_user_policy(UserName="hub", PolicyName="reads", PolicyDocument=policy)
key = iam.create_access_key(UserName="hub")["AccessKey"]

if sys.argv[1] == "signed":
    # From the next request on.
    plain = {"content-type": "text/plain"}
    urllib.request.urlopen(urllib.request.Request(url + "/moto-api/reset-auth", b"0", plain))

print(json.dumps({"url": url, "id": key["AccessKeyId"], "secret": key["SecretAccessKey"]}), flush=True)
sys.stdin.read()
