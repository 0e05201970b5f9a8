import { createHash, randomBytes, randomUUID } from "node:crypto";
import type { LocalDatabase } from "../database.ts";
import type { Outgoing } from "./message.ts";
import { numberOf, type Queue, redrivePolicy } from "./queue.ts";
import { messageOf, queueOf, SCHEMA, type StoredMessage } from "./rows.ts";

const DEDUPLICATION_MS = 300_000;
/** Sequence numbers have 20 digits and rise within a group; row ids are never used twice. */
const FIRST_SEQUENCE = 10_000_000_000_000_000_000n;

export function sequenceOf(id: number): string {
  return String(FIRST_SEQUENCE + BigInt(id));
}

export type QueueStore = ReturnType<typeof queueStore>;

/** The queues' rows. Each function is one change; none waits. Times are given, in milliseconds. */
export function queueStore(db: LocalDatabase) {
  for (const sql of SCHEMA) db.statement(sql).run();
  const all = (sql: string, ...values: (string | number)[]) => db.statement(sql).all(...values);
  const run = (sql: string, ...values: (string | number | null)[]) => Number(db.statement(sql).run(...values).changes);
  const number = (sql: string, ...values: (string | number)[]) => {
    const value = db.statement(sql).get(...values)?.n;
    return typeof value === "number" ? value : undefined;
  };

  function find(name: string): Queue | undefined {
    const row = db.statement("SELECT * FROM sqs_queue WHERE name = ?").get(name);
    return row ? queueOf(row) : undefined;
  }

  function save(queue: Queue): void {
    run(
      `INSERT INTO sqs_queue (name, fifo, attributes, tags, created, modified, purged) VALUES (?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET attributes = excluded.attributes, tags = excluded.tags, modified = excluded.modified,
         purged = excluded.purged`,
      queue.name,
      queue.fifo ? 1 : 0,
      JSON.stringify(queue.attributes),
      JSON.stringify(queue.tags),
      queue.createdMs,
      queue.modifiedMs,
      queue.purgedMs,
    );
  }

  function remove(name: string): void {
    run("DELETE FROM sqs_queue WHERE name = ?", name);
    run("DELETE FROM sqs_message WHERE queue = ?", name);
    run("DELETE FROM sqs_deduplication WHERE queue = ?", name);
  }

  /** The message's id and, in a FIFO queue, its sequence number: those of the first when it is a duplicate. */
  function send(queue: Queue, message: Outgoing, now: number): { messageId: string; sequence: string | undefined } {
    const key = queue.fifo ? deduplicationKey(queue, message) : undefined;
    if (key) {
      const known = db
        .statement("SELECT * FROM sqs_deduplication WHERE queue = ? AND key = ? AND until > ?")
        .get(queue.name, key.key, now);
      if (known) return { messageId: String(known.message_id), sequence: String(known.sequence) };
    }
    const messageId = randomUUID();
    const delay = message.DelaySeconds ?? numberOf(queue, "DelaySeconds");
    const delaySeconds = queue.fifo ? numberOf(queue, "DelaySeconds") : delay;
    const id = insert({
      queue: queue.name,
      messageId,
      body: message.MessageBody,
      attributes: message.MessageAttributes ?? {},
      system: message.MessageSystemAttributes ?? {},
      group: message.MessageGroupId ?? undefined,
      deduplication: key?.id,
      source: undefined,
      sentMs: now,
      visibleMs: now + delaySeconds * 1_000,
      firstReceivedMs: undefined,
      receives: 0,
    });
    const sequence = key ? sequenceOf(id) : undefined;
    if (key && sequence) {
      run(
        "INSERT OR REPLACE INTO sqs_deduplication (queue, key, message_id, sequence, until) VALUES (?, ?, ?, ?, ?)",
        queue.name,
        key.key,
        messageId,
        sequence,
        now + DEDUPLICATION_MS,
      );
    }
    return { messageId, sequence };
  }

  function insert(message: Omit<StoredMessage, "id" | "receipt" | "receivedMs">): number {
    const { lastInsertRowid } = db
      .statement(
        `INSERT INTO sqs_message (queue, message_id, body, attributes, system, message_group, deduplication, source, sent,
           visible, first_received, receives) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      )
      .run(
        message.queue,
        message.messageId,
        message.body,
        JSON.stringify(message.attributes),
        JSON.stringify(message.system),
        message.group ?? null,
        message.deduplication ?? null,
        message.source ?? null,
        message.sentMs,
        message.visibleMs,
        message.firstReceivedMs ?? null,
        message.receives,
      );
    return Number(lastInsertRowid);
  }

  /** Up to `count` messages, now in flight; and the queues that got a dead letter meanwhile. */
  function receive(queue: Queue, count: number, visibilityMs: number, now: number, arn: string) {
    const taken: StoredMessage[] = [];
    const woken = new Set<string>();
    const policy = redrivePolicy(queue.attributes.RedrivePolicy);
    const dead = policy ? find(policy.deadLetterName) : undefined;
    let moved: boolean;
    do {
      moved = false;
      const ids = taken.map((message) => message.id);
      for (const message of next(queue, count - taken.length, now, ids)) {
        if (policy && dead && message.tries >= policy.maxReceives) {
          move(message, dead, arn, now);
          woken.add(dead.name);
          moved = true;
        } else taken.push(take(message, visibilityMs, now));
      }
    } while (moved && taken.length < count);
    return { taken, woken };
  }

  function next(queue: Queue, count: number, now: number, not: number[]): (StoredMessage & { tries: number })[] {
    const kept = now - numberOf(queue, "MessageRetentionPeriod") * 1_000;
    const taken = JSON.stringify(not);
    const untaken = "id NOT IN (SELECT value FROM json_each(?))";
    if (!queue.fifo) {
      const sql = `SELECT * FROM sqs_message WHERE queue = ? AND visible <= ? AND sent > ? AND ${untaken} ORDER BY visible, id LIMIT ?`;
      return all(sql, queue.name, now, kept, taken, count).map(messageOf);
    }
    const chosen: (StoredMessage & { tries: number })[] = [];
    const seen: string[] = [];
    while (chosen.length < count) {
      // A group waits while one of its messages is in flight, or an earlier one is delayed. INDEXED BY: without statistics
      // the planner takes indexes that read the whole queue.
      const [head] = all(
        `SELECT message_group AS name FROM sqs_message AS m INDEXED BY sqs_message_order
         WHERE queue = ? AND message_group IS NOT NULL AND visible <= ? AND sent > ? AND ${untaken}
           AND message_group NOT IN (SELECT value FROM json_each(?))
           AND NOT EXISTS (SELECT 1 FROM sqs_message AS b INDEXED BY sqs_message_group WHERE b.queue = m.queue AND b.message_group = m.message_group
             AND b.visible > ? AND (b.receipt IS NOT NULL OR b.id < m.id) AND b.${untaken})
         ORDER BY id LIMIT 1`,
        queue.name,
        now,
        kept,
        taken,
        JSON.stringify(seen),
        now,
        taken,
      );
      if (!head) break;
      const name = String(head.name);
      seen.push(name);
      // As many of one group as there are, before the next group: so that another consumer finds whole groups.
      const rows = all(
        `SELECT * FROM sqs_message INDEXED BY sqs_message_group WHERE queue = ? AND message_group = ? AND sent > ? AND ${untaken} ORDER BY id LIMIT ?`,
        queue.name,
        name,
        kept,
        taken,
        count - chosen.length,
      ).map(messageOf);
      const delayed = rows.findIndex((message) => message.visibleMs > now);
      chosen.push(...(delayed < 0 ? rows : rows.slice(0, delayed)));
    }
    return chosen;
  }

  function take(message: StoredMessage, visibilityMs: number, now: number): StoredMessage {
    const receipt = randomBytes(12).toString("base64url");
    run(
      `UPDATE sqs_message SET visible = ?, receipt = ?, received = ?, first_received = coalesce(first_received, ?),
         tries = tries + 1, receives = receives + 1 WHERE id = ?`,
      now + visibilityMs,
      receipt,
      now,
      now,
      message.id,
    );
    const firstReceivedMs = message.firstReceivedMs ?? now;
    return { ...message, receipt, receivedMs: now, firstReceivedMs, receives: message.receives + 1 };
  }

  /** To the end of another queue, with its id, its age and its count of receives. */
  function move(message: StoredMessage, to: Queue, source: string | undefined, now: number): void {
    run("DELETE FROM sqs_message WHERE id = ?", message.id);
    // A FIFO queue counts a message's age from its arrival there.
    insert({ ...message, queue: to.name, source, sentMs: to.fifo ? now : message.sentMs, visibleMs: now });
  }

  return {
    find,
    save,
    remove,
    send,
    receive,
    move,
    names: (prefix: string, after: string, limit: number): string[] =>
      all(
        "SELECT name FROM sqs_queue WHERE substr(name, 1, ?) = ? AND name > ? ORDER BY name LIMIT ?",
        prefix.length,
        prefix,
        after,
        limit,
      ).map((row) => String(row.name)),
    queues: (): Queue[] => all("SELECT * FROM sqs_queue ORDER BY name").map(queueOf),
    message(id: number): StoredMessage | undefined {
      const row = db.statement("SELECT * FROM sqs_message WHERE id = ?").get(id);
      return row ? messageOf(row) : undefined;
    },
    messages: (queue: string): StoredMessage[] =>
      all("SELECT * FROM sqs_message WHERE queue = ? ORDER BY id", queue).map(messageOf),
    forget: (id: number) => run("DELETE FROM sqs_message WHERE id = ?", id),
    show: (id: number, visibleMs: number) => run("UPDATE sqs_message SET visible = ? WHERE id = ?", visibleMs, id),
    purge: (queue: string) => run("DELETE FROM sqs_message WHERE queue = ?", queue),
    /** FIFO: the queue's delay is that of the messages already waiting, too. */
    delayAgain: (queue: string, delayMs: number) =>
      run(
        "UPDATE sqs_message SET visible = sent + ? WHERE queue = ? AND receives = 0 AND receipt IS NULL",
        delayMs,
        queue,
      ),
    counts(queue: string, now: number) {
      const row = db
        .statement(
          `SELECT count(*) FILTER (WHERE visible <= ?) AS visible, count(*) FILTER (WHERE visible > ? AND receipt IS NOT NULL) AS flying,
             count(*) FILTER (WHERE visible > ? AND receipt IS NULL) AS delayed FROM sqs_message WHERE queue = ?`,
        )
        .get(now, now, now, queue);
      return {
        visible: Number(row?.visible ?? 0),
        flying: Number(row?.flying ?? 0),
        delayed: Number(row?.delayed ?? 0),
      };
    },
    /** When the next message of the queue comes in sight by itself. */
    nextVisible: (queue: string, now: number) =>
      number("SELECT min(visible) AS n FROM sqs_message WHERE queue = ? AND visible > ?", queue, now),
    // A process that was killed is no fault of the message it worked on: that try does not count towards the dead letters.
    releaseInFlight: (now: number) =>
      run(
        "UPDATE sqs_message SET visible = ?, tries = max(0, tries - 1) WHERE visible > ? AND receipt IS NOT NULL",
        now,
        now,
      ),
    expire(now: number): void {
      run("DELETE FROM sqs_deduplication WHERE until <= ?", now);
      for (const { name } of all("SELECT name FROM sqs_queue")) {
        const queue = find(String(name));
        if (queue)
          run(
            "DELETE FROM sqs_message WHERE queue = ? AND sent <= ?",
            queue.name,
            now - numberOf(queue, "MessageRetentionPeriod") * 1_000,
          );
      }
    },
  };
}

function deduplicationKey(queue: Queue, message: Outgoing): { id: string; key: string } {
  const id = message.MessageDeduplicationId ?? createHash("sha256").update(message.MessageBody).digest("hex");
  const perGroup = queue.attributes.DeduplicationScope === "messageGroup";
  return { id, key: perGroup ? `${id}\n${message.MessageGroupId ?? ""}` : id };
}
