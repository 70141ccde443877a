// Makes the bucket where there is none, and gives it the rule that removes what a killed packager may leave behind. Run
// once for each bucket; running it again changes nothing. Reads S3_BUCKET, S3_ENDPOINT and AWS_*, as Adit does.
// BUCKET_LIFECYCLE=off leaves the rule out, for servers that have no lifecycle rules and sweep by themselves (MinIO).
import {
  BucketAlreadyOwnedByYou,
  CreateBucketCommand,
  PutBucketLifecycleConfigurationCommand,
  S3Client,
} from '@aws-sdk/client-s3';

const { S3_BUCKET: Bucket, S3_ENDPOINT: endpoint, AWS_REGION: region = 'us-east-1', BUCKET_LIFECYCLE } = process.env;
if (!Bucket) throw new Error('S3_BUCKET is missing: the name of the bucket to make');

const client = new S3Client({ region, ...(endpoint ? { endpoint, forcePathStyle: true } : {}) });
try {
  await client.send(new CreateBucketCommand({ Bucket }));
} catch (error) {
  if (!(error instanceof BucketAlreadyOwnedByYou)) throw error;
}
if (BUCKET_LIFECYCLE !== 'off') {
  await client.send(
    new PutBucketLifecycleConfigurationCommand({
      Bucket,
      LifecycleConfiguration: {
        Rules: [
          {
            ID: 'abort-incomplete-uploads',
            Status: 'Enabled',
            Filter: { Prefix: 'dumps/' },
            // Longer than any packaging takes: an upload that is still running must not be swept.
            AbortIncompleteMultipartUpload: { DaysAfterInitiation: 2 },
          },
        ],
      },
    }),
  );
}
console.log(`The bucket ${Bucket} is ready.`);
