import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Future;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Writes to a broker what a directory should hold, and says in a table what that is: `Writer ADDRESS TABLE TOPIC…`,
 * where a topic is codecs, trimmed, transactions or compacted. A line of the table is topic,
 * offset, timestamp, key and value, separated by tabs; keys and values are hexadecimal, `-` is null.
 */
public final class Writer {
    private static final long START_MS = 1_700_000_000_000L;
    private static final long SEGMENT_MS = 60_000;
    /** Records lie years back: nothing may go for its age. */
    private static final Map<String, String> KEPT = Map.of("segment.ms", Long.toString(SEGMENT_MS), "retention.ms", "-1");
    private static final String[] CODECS = {"none", "gzip", "snappy", "lz4", "zstd"};
    private static final List<String> lines = new ArrayList<>();
    private static String bootstrap;

    public static void main(String[] arguments) throws Exception {
        bootstrap = arguments[0];
        List<String> asked = List.of(arguments).subList(2, arguments.length);
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", bootstrap))) {
            if (asked.contains("codecs")) {
                codecs(admin);
            }
            if (asked.contains("trimmed")) {
                trimmed(admin);
            }
            if (asked.contains("transactions")) {
                transactions(admin);
            }
            if (asked.contains("compacted")) {
                compacted(admin);
            }
        }
        Files.write(Path.of(arguments[1]), lines);
    }

    /** Every codec, null and empty keys and values, headers, over several segments. */
    private static void codecs(Admin admin) throws Exception {
        create(admin, "codecs", KEPT);
        int n = 0;
        for (int round = 0; round < 3; round++) {
            for (String codec : CODECS) {
                Map<String, Object> batching = Map.of("compression.type", codec, "linger.ms", "1000");
                try (KafkaProducer<byte[], byte[]> producer = producer(batching)) {
                    List<Future<RecordMetadata>> sent = new ArrayList<>();
                    for (int i = 0; i < 8; i++, n++) {
                        byte[] key = n % 5 == 0 ? null : bytes("key-" + n % 7);
                        byte[] value = n % 11 == 0 ? null : n % 13 == 0 ? new byte[0] : bytes((codec + " ").repeat(i));
                        Header[] headers = n % 3 == 0
                            ? new Header[] {new RecordHeader("h" + n, bytes("x")), new RecordHeader("null", (byte[]) null)}
                            : new Header[0];
                        long at = START_MS + round * 2 * SEGMENT_MS + n;
                        sent.add(producer.send(new ProducerRecord<>("codecs", 0, at, key, value, List.of(headers))));
                        note("codecs", n, at, key, value);
                        if (i % 4 == 3) {
                            producer.flush();
                        }
                    }
                    for (int i = 0; i < 8; i++) {
                        if (sent.get(i).get().offset() != n - 8 + i) {
                            throw new AssertionError("other offsets than expected");
                        }
                    }
                }
            }
        }
    }

    /** The first records are deleted, in the middle of a batch. */
    private static void trimmed(Admin admin) throws Exception {
        create(admin, "trimmed", KEPT);
        try (KafkaProducer<byte[], byte[]> producer = producer(Map.of("linger.ms", "200", "batch.size", "65536"))) {
            for (int i = 0; i < 30; i++) {
                producer.send(new ProducerRecord<>("trimmed", 0, START_MS + i / 10 * 2 * SEGMENT_MS + i, null, bytes("t" + i)));
                if (i % 10 == 9) {
                    producer.flush();
                }
            }
        }
        TopicPartition partition = new TopicPartition("trimmed", 0);
        admin.deleteRecords(Map.of(partition, RecordsToDelete.beforeOffset(15))).all().get();
        for (ConsumerRecord<byte[], byte[]> record : readAll("trimmed", 30)) {
            note(record.topic(), record.offset(), record.timestamp(), record.key(), record.value());
        }
    }

    /** Committed, aborted and interleaved transactions; offsets committed inside one. */
    private static void transactions(Admin admin) throws Exception {
        create(admin, "transactions", KEPT);
        try (KafkaProducer<byte[], byte[]> one = producer(Map.of("transactional.id", "one"));
             KafkaProducer<byte[], byte[]> two = producer(Map.of("transactional.id", "two"))) {
            one.initTransactions();
            two.initTransactions();
            for (int i = 0; i < 4; i++) {
                one.beginTransaction();
                two.beginTransaction();
                long at = START_MS + i * 2 * SEGMENT_MS;
                send(one, "transactions", at, bytes("one"), bytes("1-" + i), List.of());
                send(two, "transactions", at + 1, bytes("two"), bytes("2-" + i), List.of());
                send(one, "transactions", at + 2, bytes("one"), bytes("1-" + i + "-again"), List.of());
                if (i % 2 == 0) {
                    one.commitTransaction();
                    two.abortTransaction();
                } else {
                    two.commitTransaction();
                    one.abortTransaction();
                }
            }
        }
        Map<String, Object> settings = consumer("group");
        try (KafkaConsumer<byte[], byte[]> consumer = new KafkaConsumer<>(settings)) {
            consumer.subscribe(List.of("codecs"));
            for (int tries = 0; tries < 100 && consumer.poll(Duration.ofMillis(200)).isEmpty(); tries++) { }
            consumer.commitSync();
        }
    }

    /** Keys written over and deleted, then cleaned. */
    private static void compacted(Admin admin) throws Exception {
        create(admin, "compacted", Map.of("segment.ms", Long.toString(SEGMENT_MS), "cleanup.policy", "compact",
            "min.cleanable.dirty.ratio", "0.01", "delete.retention.ms", "86400000"));
        Map<String, String> last = new HashMap<>();
        try (KafkaProducer<byte[], byte[]> producer = producer(Map.of("compression.type", "lz4"))) {
            for (int i = 0; i < 60; i++) {
                byte[] key = bytes("k" + i % 4), value = i % 17 == 3 ? null : bytes("v" + i);
                long at = START_MS + i / 10 * 2 * SEGMENT_MS;
                RecordMetadata sent = producer.send(new ProducerRecord<>("compacted", 0, at, key, value)).get();
                last.put(hex(key), "compacted\t" + sent.offset() + "\t" + at + "\t" + hex(key) + "\t" + hex(value));
            }
        }
        lines.addAll(last.values());
        for (int tries = 0; tries < 100; tries++) {
            if (readAll("compacted", 60).size() < 30) {
                return;
            }
            Thread.sleep(200);
        }
        throw new AssertionError("the cleaner did not run");
    }

    private static void send(KafkaProducer<byte[], byte[]> producer, String topic, long at, byte[] key, byte[] value,
                             List<Header> headers) throws Exception {
        RecordMetadata sent = producer.send(new ProducerRecord<>(topic, 0, at, key, value, headers)).get();
        note(topic, sent.offset(), at, key, value);
    }

    private static void note(String topic, long offset, long at, byte[] key, byte[] value) {
        lines.add(topic + "\t" + offset + "\t" + at + "\t" + hex(key) + "\t" + hex(value));
    }

    private static List<ConsumerRecord<byte[], byte[]>> readAll(String topic, long end) {
        List<ConsumerRecord<byte[], byte[]>> found = new ArrayList<>();
        try (KafkaConsumer<byte[], byte[]> consumer = new KafkaConsumer<>(consumer(null))) {
            TopicPartition partition = new TopicPartition(topic, 0);
            consumer.assign(List.of(partition));
            consumer.seekToBeginning(List.of(partition));
            while (consumer.position(partition) < end) {
                consumer.poll(Duration.ofMillis(200)).forEach(found::add);
            }
        }
        return found;
    }

    private static void create(Admin admin, String topic, Map<String, String> configs) throws Exception {
        admin.createTopics(List.of(new NewTopic(topic, Optional.of(1), Optional.empty()).configs(configs))).all().get();
    }

    private static KafkaProducer<byte[], byte[]> producer(Map<String, Object> more) {
        Map<String, Object> settings = new HashMap<>(Map.of("bootstrap.servers", bootstrap, "acks", "all"));
        settings.putAll(more);
        return new KafkaProducer<>(settings, new ByteArraySerializer(), new ByteArraySerializer());
    }

    private static Map<String, Object> consumer(String group) {
        Map<String, Object> settings = new HashMap<>(Map.of("bootstrap.servers", bootstrap, "auto.offset.reset", "earliest",
            "enable.auto.commit", "false", "key.deserializer", ByteArrayDeserializer.class,
            "value.deserializer", ByteArrayDeserializer.class));
        if (group != null) {
            settings.put("group.id", group);
        }
        return settings;
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private static String hex(byte[] bytes) {
        return bytes == null ? "-" : HexFormat.of().formatHex(bytes);
    }
}
